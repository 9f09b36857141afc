"""Text from outside as Markdown that shows it and does nothing else."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

MAX_TEXT = 300
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "\\": "&#92;"}
_PUNCTUATION = re.compile(r"[`*_{}\[\]#+!~:@=$^]|\.(?=\S)")
_NEWLINE = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_HIDDEN = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)


def visible(value: str, limit: int = MAX_TEXT) -> str:
    """One line, cut to `limit` characters, with what cannot be seen made visible."""
    cut = value if len(value) <= limit else f"{value[:limit]}…"
    return "".join(map(_shown, _NEWLINE.sub(" ⏎ ", cut)))


def escape(value: str, limit: int = MAX_TEXT) -> str:
    """Text for a table cell or the middle of a paragraph: no markup, link, mention or HTML in it."""
    plain = "".join(_ENTITIES.get(character, character) for character in visible(value, limit))
    return _PUNCTUATION.sub(lambda match: f"\\{match[0]}", plain).strip()


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if (
        character in _HIDDEN
        or category in {"Cc", "Cs", "Co", "Cn"}
        or "\U000e0000" <= character <= "\U000e0fff"
    ):
        return f"‹U+{ord(character):04X}›"
    return character
