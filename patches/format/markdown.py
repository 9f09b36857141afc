"""Text from outside as Markdown that shows it and does nothing else."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

MAX_TEXT = 300
_MARKUP = re.compile(r"[&<>|\\`*_{}\[\]#+!~:@=$^]|\.(?=\S)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "\\": "&#92;"}
_NEWLINE = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_HIDDEN = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e0fff]")


def visible(value: str, limit: int = MAX_TEXT) -> str:
    """One line, cut to `limit` characters, with what cannot be seen made visible."""
    cut = value if len(value) <= limit else f"{value[:limit]}…"
    return "".join(map(_shown, _NEWLINE.sub(" ⏎ ", cut)))


def escape(value: str, limit: int = MAX_TEXT) -> str:
    """Text for a cell or within a paragraph: no markup, link, mention or HTML works in it."""
    return _MARKUP.sub(_escaped, visible(value, limit)).strip()


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(match: re.Match[str]) -> str:
    return _ENTITIES.get(match[0], f"\\{match[0]}")


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Cc", "Cs", "Co", "Cn"} or _HIDDEN.match(character):
        return f"<U+{ord(character):04X}>"
    return character
