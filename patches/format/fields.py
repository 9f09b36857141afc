"""Take the fields of a JSON object one by one, each of the type it must have, and no others."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..digests import is_sha256
from ..errors import LimitExceeded, ManifestError
from .names import quoted

MAX_TEXT = 10_000
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # but newline and tab
_LINE_BREAKING = re.compile(r"[\t\n\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Fields:
    """A reader over one JSON object; `what` names it in errors. Call `done` after the last field.

    Every method raises ManifestError if the field is missing or of another type.
    """

    def __init__(self, record: object, what: str) -> None:
        if not isinstance(record, Mapping):
            raise ManifestError(f"{what} is not a JSON object")
        self._left: dict[str, Any] = dict(record)
        self.what = what

    def done(self) -> None:
        """Raise ManifestError if a field was not taken."""
        if self._left:
            raise ManifestError(f"{self.what} has the unknown field {quoted(min(self._left))}")

    def take(self, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """The field as it is."""
        if name not in self._left:
            raise ManifestError(f"{self.what} lacks {name!r}")
        return self._left.pop(name)

    def text(self, name: str) -> str:
        """A text of at most MAX_TEXT characters, none of them a control character."""
        return self._text(name, self.take(name))

    def optional_text(self, name: str) -> str | None:
        """A text or null."""
        value = self.take(name)
        return None if value is None else self._text(name, value)

    def line(self, name: str) -> str:
        """A text of one line: no newline, no tab, nothing that reorders what stands around it."""
        return self._line(name, self.take(name))

    def optional_line(self, name: str) -> str | None:
        """A text of one line or null."""
        value = self.take(name)
        return None if value is None else self._line(name, value)

    def digest(self, name: str) -> str:
        """A sha256 in lower-case hex."""
        value = self.take(name)
        if not is_sha256(value):
            raise self._wrong(name, "a sha256 in lower-case hex")
        return str(value)

    def optional_digest(self, name: str) -> str | None:
        """A sha256 or null."""
        if name in self._left and self._left[name] is None:
            self._left.pop(name)
            return None
        return self.digest(name)

    def digests(self, name: str) -> tuple[str, ...]:
        """A list of sha256."""
        values = self.take(name)
        if not isinstance(values, list) or not all(map(is_sha256, values)):
            raise self._wrong(name, "a list of sha256")
        return tuple(values)

    def integer(self, name: str, *, least: int = 0) -> int:
        """A whole number, at least `least`."""
        value = self.take(name)
        if type(value) is not int or value < least:
            raise self._wrong(name, f"a whole number from {least}")
        return value

    def number(self, name: str) -> float:
        """A number that is not negative."""
        value = self.take(name)
        if type(value) not in (int, float) or value < 0:
            raise self._wrong(name, "a number that is not negative")
        return float(value)

    def time(self, name: str) -> str:
        """A time as in 2026-01-31T12:00:00Z."""
        value = self.text(name)
        if not _TIME.fullmatch(value) or not _is_real(value):
            raise self._wrong(name, "a time as in 2026-01-31T12:00:00Z")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """An object."""
        value = self.take(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return value

    def items(self, name: str) -> list[Any]:
        """A list."""
        value = self.take(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        return value

    def shape(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        values = self.items(name)
        if len(values) > 8 or any(type(value) is not int or value < 0 for value in values):
            raise self._wrong(name, "a list of at most 8 whole numbers")
        return tuple(values)

    def _line(self, name: str, value: object) -> str:
        text = self._text(name, value)
        if not is_line(text):
            raise self._wrong(quoted(name), "one line, without tabs and marks of direction")
        return text

    def _text(self, name: str, value: object) -> str:
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        if len(value) > MAX_TEXT:
            raise LimitExceeded(f"{name} in {self.what} is longer than {MAX_TEXT} characters")
        if _CONTROL.search(value):
            raise self._wrong(name, "a text without control characters")
        return value

    def _wrong(self, name: str, expected: str) -> ManifestError:
        return ManifestError(f"{name} in {self.what} must be {expected}")


def is_line(text: str) -> bool:
    """Whether a text can stand in one line of a listing without passing for more than it is."""
    return not (_CONTROL.search(text) or _LINE_BREAKING.search(text))


def _is_real(time: str) -> bool:
    try:
        datetime.fromisoformat(time)
    except ValueError:
        return False
    return True
