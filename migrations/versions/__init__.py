"""One migration a file, `0001_words.py`, never changed once it was released."""
