"""Talks to people and to scripts: one command a file, output and errors in one place each."""
