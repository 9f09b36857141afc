"""Our own form, that of requests.jsonl, which anybody can write by hand: one request a line."""

from typing import ClassVar

from ..requests import EditRequest
from .base import Loaded
from .fields import Record, as_request
from .reading import read_records


class Jsonl:
    """{"prompt", "subject", "target"} and, where wanted, the other fields of an EditRequest."""

    name: ClassVar[str] = "jsonl"
    title: ClassVar[str] = "requests of one's own, one a line"
    shipped: ClassVar[str | None] = None

    def read(self, data: bytes, *, name: str) -> Loaded:
        """Read a whole file; raises InputError, LimitExceeded."""
        return read_records(data, _request, name=name)


def _request(record: Record) -> EditRequest:
    number = {} if "id" in record else {"id": str(record.number)}
    return as_request({**record.values, **number})
