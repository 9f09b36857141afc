"""Words as a search compares them: without case, accents or punctuation."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from ..database.checks import MAX_SHORT

MAX_WORDS = 50_000
MAX_READ = 4_000_000
"""Characters of one version that are looked at, as they are written and as they are folded."""

_PIECE = 1 << 16
"""Characters folded at once; one character can become eighteen."""

_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """The text without case, accents and other marks, and without forms that only look different.

    That is Unicode's compatibility decomposition (NFKD), case folding, and no combining marks. A
    text is folded as its parts are.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(
        character
        for character in unicodedata.normalize("NFKD", folded)
        if not unicodedata.category(character).startswith("M")
    )


def words(text: str) -> Iterator[str]:
    """The words of a text, folded: runs of letters and digits, cut to 255 characters."""
    return _words(fold(text))


def subject(text: str) -> str:
    """A subject as it is compared: its first 255 characters, folded, white space as one space."""
    return _subject(fold(text[:MAX_SHORT]))


def distinct_words(texts: Iterable[str]) -> list[str]:
    """Each word of some texts once, in the order in which they come; 50,000 at most."""
    found: dict[str, None] = {}
    for text in _folded(texts):
        found.update(dict.fromkeys(_words(text)))
        if len(found) >= MAX_WORDS:
            break
    return list(found)[:MAX_WORDS]


def distinct_subjects(texts: Iterable[str]) -> list[str]:
    """Each subject once, in the order in which they come."""
    cut = (text[:MAX_SHORT] for text in texts)
    return list(dict.fromkeys(filter(None, map(_subject, _folded(cut)))))


def _words(folded: str) -> Iterator[str]:
    return (match[0][:MAX_SHORT] for match in _WORD.finditer(folded))


def _subject(folded: str) -> str:
    return " ".join(folded.split())[:MAX_SHORT]


def _folded(texts: Iterable[str]) -> Iterator[str]:
    """The texts folded, until MAX_READ characters of them are read or written."""
    left = MAX_READ
    for text in texts:
        pieces = []
        for start in range(0, len(text), _PIECE):
            piece = text[start : start + min(_PIECE, left)]
            pieces.append(fold(piece)[:left])
            left -= max(len(piece), len(pieces[-1]))
            if left <= 0:
                yield "".join(pieces)
                return
        yield "".join(pieces)
