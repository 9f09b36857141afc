"""What fits into the tables: bounds that the format does not set, texts no database stores."""

from collections.abc import Iterable, Iterator

from ..patches.errors import InputError, LimitExceeded
from ..patches.evaluation.base import Evaluation
from ..patches.format.fields import MAX_TEXT
from ..patches.format.manifest import Manifest
from ..patches.requests import EditRequest
from .database.checks import MAX_SHORT
from .database.schema import LAST_NUMBER

LAST_ROW = 2**63 - 1
"""The highest number that a row can have in either database."""


def page(limit: int, most: int) -> int:
    """How many rows a page has: not below zero, and `most` at most."""
    return max(0, min(limit, most))


def row_number(number: int) -> int:
    """The number of a row, or the nearest one that a database can compare with."""
    return max(0, min(number, LAST_ROW))


def check_manifest(manifest: Manifest) -> None:
    """Raise LimitExceeded or InputError unless the manifest fits."""
    if manifest.version > LAST_NUMBER:
        raise LimitExceeded(f"version numbers end at {LAST_NUMBER}")
    check_text("the message", manifest.message, MAX_TEXT)
    for what, value in _names(manifest):
        check_text(what, value)


def check_requests(requests: Iterable[EditRequest]) -> None:
    """Raise LimitExceeded or InputError unless the requests fit."""
    for request in requests:
        check_text("the id of a request", request.id)


def check_evaluation(evaluation: Evaluation) -> None:
    """Raise LimitExceeded or InputError unless the evaluation fits."""
    check_text("the name of a suite", evaluation.suite)
    for score in evaluation.scores:
        check_text("the case of a score", score.case)
        check_text("the measure of a score", score.measure)


def _names(manifest: Manifest) -> Iterator[tuple[str, str | None]]:
    yield "the author", manifest.author
    yield "the licence", manifest.licence
    yield "the name of the method", manifest.method.name
    for base in manifest.bases:
        yield "the id of a base", base.id
        yield "the revision of a base", base.revision
        for tensor in base.tensors.values():
            yield "the type of a tensor", tensor.dtype
    for operations in manifest.operations.values():
        for operation in operations:
            yield "the kind of an operation", operation.kind


def check_text(what: str, value: str | None, longest: int = MAX_SHORT) -> None:
    """Raise LimitExceeded or InputError unless a text can be stored; `what` names it."""
    if value is None:
        return
    if len(value) > longest:
        raise LimitExceeded(f"{what} is longer than {longest} characters")
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InputError(f"{what} holds a NUL or half a character, which no database stores")
