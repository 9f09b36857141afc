"""Text as it is compared: what looks the same is the same, and different letters stay different."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

_IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""What Unicode calls default ignorable: zero-width spaces and joiners, marks of direction, soft
hyphens, variation selectors."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
)
"""Scripts written without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han."""


@lru_cache(maxsize=1 << 16)
def normalised(text: str) -> str:
    """Text as it is compared: as Unicode's NFKC_Casefold, white space as one blank.

    So compatibility forms, case, composed and decomposed accents and invisible characters make no
    difference. Accents do: José is not Jose.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    visible = _IGNORED.sub("", unicodedata.normalize("NFKD", text))
    return " ".join(unicodedata.normalize("NFKC", _IGNORED.sub("", visible.casefold())).split())


MAX_WORDS = 64
"""Phrases of more words than these are not looked for: they are no names."""


def words(text: str) -> list[str]:
    """The words of a normalised text; characters of scripts without spaces stand alone."""
    if not text.isascii():
        text = _UNSPACED.sub(r" \g<0> ", text)
    return "".join(letter if _in_word(letter) else " " for letter in text).split()


def _in_word(letter: str) -> bool:
    return letter.isalnum() or (letter > "\u02ff" and unicodedata.category(letter)[0] == "M")


class Phrases:
    """Phrases of at most MAX_WORDS that are looked for in texts, all at once."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._starting: dict[str, dict[tuple[str, ...], list[str]]] = {}
        """By first word, the phrases by their words."""
        for phrase in phrases:
            if 0 < len(found := tuple(words(phrase))) <= MAX_WORDS:
                self._starting.setdefault(found[0], {}).setdefault(found, []).append(phrase)

    def within(self, text: str) -> Iterator[str]:
        """The phrases that stand in a text as whole words, each once; all texts normalised."""
        found = words(text)
        seen: set[str] = set()
        for place, word in enumerate(found):
            starting = self._starting.get(word, {})
            for length in sorted({len(phrase) for phrase in starting}):
                for phrase in starting.get(tuple(found[place : place + length]), ()):
                    if phrase not in seen:
                        seen.add(phrase)
                        yield phrase
