"""The fields of one record of somebody else's form, each checked under the name that it has there.

What no form has in common is left to `EditRequest.parse`: lengths, odd characters, the template.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import LimitExceeded, RequestRefused
from ..requests import EditRequest

_WHERE = "it"


class Record:
    """One JSON object of a file; `number` counts from 1 and is its id where it names none."""

    def __init__(self, values: Mapping[str, Any], number: int, where: str = "") -> None:
        self.values = values
        self.number = number
        self._where = where

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def within(self, name: str) -> "Record":
        """The object in a field; raises RequestRefused."""
        value = self.values.get(name)
        if not isinstance(value, Mapping):
            raise self.flaw(name, "is not an object")
        return self.entry(name, value)

    def entry(self, name: str, values: Mapping[str, Any]) -> "Record":
        """An object that was found in a field."""
        return Record(values, self.number, f"{self._where}{name}.")

    def flaw(self, name: str, flaw: str) -> RequestRefused:
        """The error for a field."""
        return RequestRefused(f"{self._where}{name} {flaw}")

    def text(self, name: str) -> str:
        """A text that is not empty; raises RequestRefused."""
        if name not in self:
            raise self.flaw(name, "is missing")
        return self.checked(name, self.values[name])

    def texts(self, name: str) -> list[str]:
        """A list of texts, empty if the field is missing; raises RequestRefused."""
        return [self.checked(name, value) for value in self.listed(name)]

    def listed(self, name: str) -> list[Any]:
        """A list of anything, empty if the field is missing; raises RequestRefused."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, list):
            raise self.flaw(name, "is not a list")
        return value or []

    def answers(self, name: str) -> list[str]:
        """A text, a list of texts, or a list of lists of texts, of which each gives its first.

        Raises RequestRefused.
        """
        value = self.values.get(name)
        values = value if isinstance(value, list) else [value]
        return [self.first(name, value) for value in values]

    def first(self, name: str, value: object) -> str:
        """A text, or the first of a list of texts or of lists of them; raises RequestRefused."""
        while isinstance(value, list) and value:
            value = value[0]
        return self.checked(name, value)

    def checked(self, name: str, value: object) -> str:
        """The text in a field; raises RequestRefused."""
        if not isinstance(value, str):
            raise self.flaw(name, "is not a text")
        if not value.strip():
            raise self.flaw(name, "is empty")
        return value.strip()

    def case_id(self) -> str:
        """The field case_id as text, or the number of the record; raises RequestRefused."""
        value = self.values.get("case_id")
        if value is None:
            return str(self.number)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self.flaw("case_id", "is neither a whole number nor a text")
        return str(value)


def as_request(values: Mapping[str, Any]) -> EditRequest:
    """`EditRequest.parse`, with the record unnamed in errors: whoever reads the file names it.

    Raises RequestRefused, LimitExceeded.
    """
    try:
        return EditRequest.parse(values, where=_WHERE)
    except (RequestRefused, LimitExceeded) as error:
        message = error.message.removeprefix(f"{_WHERE}: ")
        raise type(error)(message, why=error.why, hint=error.hint) from None


def as_spelled_in(prompt: str, subject: str) -> str:
    """The subject as the prompt spells it, where they differ in no more than case.

    A method finds the subject's tokens by its spelling, and a prompt begins with a capital.
    """
    if subject in prompt or "{}" in prompt:
        return subject
    found = re.search(re.escape(subject), prompt, re.IGNORECASE)
    return found.group() if found else subject


def old_answer(target: str, answers: Sequence[str]) -> str | None:
    """The first answer that is not the target; None if there is none.

    An edit that teaches the true answer has no other one to beat.
    """
    return next((answer for answer in answers if answer != target), None)
