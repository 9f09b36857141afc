"""JSON from outside, read strictly: no duplicate keys, no NaN, no endless nesting."""

import json
import math
from typing import Any

import rfc8785

from ..errors import ManifestError

MAX_DEPTH = 64
_LONGEST_INTEGER = 400
_MAX_INTEGER = 2**53 - 1


def decode(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read one JSON value; raises ValueError that says what is wrong with it."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_distinct,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep") from None
    _require_shallow(value)
    return value


def parse(data: bytes, *, what: str) -> dict[str, Any]:
    """Read one JSON object; raises ManifestError that names `what`."""
    try:
        value = decode(data)
    except ValueError as error:
        raise ManifestError(f"{what} is not well-formed JSON: {error}") from None
    if not isinstance(value, dict):
        raise ManifestError(f"{what} is not a JSON object")
    return value


def parse_canonical(data: bytes, *, what: str) -> dict[str, Any]:
    """Read an object whose bytes are those that RFC 8785 prescribes; raises ManifestError."""
    value = parse(data, what=what)
    if canonical(value, what=what) != data:
        raise ManifestError(
            f"{what} is not canonical JSON (RFC 8785)",
            why="only one spelling of a record has its digest",
        )
    return value


def canonical(value: object, *, what: str) -> bytes:
    """The RFC 8785 bytes of plain JSON values; raises ManifestError for what JSON cannot say."""
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{what} cannot be written as JSON: {error}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key stands twice")
    return record


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:30]} is too large")
    return value


def _integer(text: str) -> int | float:
    """A whole number; beyond 2^53 the float that it spells, since JSON's numbers are floats."""
    if len(text) > _LONGEST_INTEGER:
        return _finite(text)
    value = int(text)
    return value if abs(value) <= _MAX_INTEGER else _finite(text)


def _require_shallow(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise ValueError(f"it is nested more than {MAX_DEPTH} deep")


def _children(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
