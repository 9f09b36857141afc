"""Words as a search compares them: without case, accents or punctuation."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from ..database.checks import MAX_SHORT

MAX_WORDS = 50_000
MAX_READ = 4_000_000
"""Characters of one version that are looked at, so that none holds up the other writers."""

_WORD = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """The text without case, accents and other marks, and without forms that only look different.

    That is Unicode's compatibility decomposition (NFKD), case folding, and no combining marks.
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
    return (match[0][:MAX_SHORT] for match in _WORD.finditer(fold(text)))


def subject(text: str) -> str:
    """A subject as it is compared: its first 255 characters, folded, white space as one space."""
    return " ".join(fold(text[:MAX_SHORT]).split())[:MAX_SHORT]


def distinct_words(texts: Iterable[str]) -> list[str]:
    """Each word of some texts once, in the order in which they come; 50,000 at most."""
    found: dict[str, None] = {}
    for text in _beginning(texts):
        found.update(dict.fromkeys(words(text)))
        if len(found) >= MAX_WORDS:
            break
    return list(found)[:MAX_WORDS]


def distinct_subjects(texts: Iterable[str]) -> list[str]:
    """Each subject once, in the order in which they come."""
    cut = (text[:MAX_SHORT] for text in texts)
    return list(dict.fromkeys(filter(None, map(subject, _beginning(cut)))))


def _beginning(texts: Iterable[str]) -> Iterator[str]:
    """The texts until MAX_READ characters of them are read."""
    left = MAX_READ
    for text in texts:
        if left <= 0:
            return
        yield text[:left]
        left -= len(text)
