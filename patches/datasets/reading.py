"""From the bytes of a file to its records, and to requests, the flawed ones set aside by number.

A file is a JSON array of objects, or JSON Lines: one object a line.
"""

import codecs
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import InputError, LimitExceeded, RequestRefused
from ..format import jsonfile
from ..requests import MAX_LINE, EditRequest
from .base import Loaded, Refused
from .fields import Record

MAX_RECORDS = 1_000_000
MAX_REASON = 300
_NO_OBJECT = "it is not a JSON object"


def read_records(
    data: bytes,
    request_of: Callable[[Record], EditRequest],
    *,
    name: str,
) -> Loaded:
    """Read each record of a file by `request_of`; those that raise InputError are set aside.

    A record whose id an earlier one has is set aside too.

    Raises InputError if the file is no array and no JSON Lines, LimitExceeded for too many records.
    """
    requests: dict[str, EditRequest] = {}
    refused: list[Refused] = []
    for count, (number, unit, value) in enumerate(_values(data, name), 1):
        if count > MAX_RECORDS:
            raise LimitExceeded(f"{name} holds more than {MAX_RECORDS} records")
        try:
            request = request_of(_record(value, count))
            if request.id in requests:
                raise RequestRefused(f"an earlier record has the id {request.id!r}")
        except InputError as error:
            refused.append(Refused(number, _reason(error), unit))
        else:
            requests[request.id] = request
    return Loaded(tuple(requests.values()), tuple(refused))


def _values(data: bytes, name: str) -> Iterator[tuple[int, str, Any]]:
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.lstrip()[:1] != b"[":
        for number, line in enumerate(data.split(b"\n"), 1):
            if line.strip():
                yield number, "line", line
        return
    try:
        values = jsonfile.decode(data)
    except ValueError as error:
        raise InputError(
            f"{name} is not well-formed JSON: {error}",
            hint="a data set is a JSON array of objects, or one object a line",
        ) from None
    yield from ((number, "record", value) for number, value in enumerate(values, 1))


def _record(value: object, number: int) -> Record:
    if isinstance(value, bytes):
        value = _decoded(value)
    if not isinstance(value, dict):
        raise RequestRefused(_NO_OBJECT)
    return Record(value, number)


def _decoded(line: bytes) -> object:
    if len(line) > MAX_LINE:
        raise LimitExceeded(f"it is longer than {MAX_LINE} bytes")
    try:
        return jsonfile.decode(line)
    except ValueError as error:
        raise RequestRefused(f"it is not well-formed JSON: {error}") from None


def _reason(error: InputError) -> str:
    reason = error.message if error.why is None else f"{error.message} ({error.why})"
    return reason if len(reason) <= MAX_REASON else f"{reason[: MAX_REASON - 1]}…"
