"""The header of a safetensors file, checked more strictly than the format's own library does."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from math import prod

from ..arithmetic.dtypes import WIDTH
from ..errors import FormatError
from .names import check_distinct, check_tensor_name, quoted

METADATA = "__metadata__"
_FIELDS = {"dtype", "shape", "data_offsets"}
_MAX_COUNT = 2**63 - 1
_MAX_DIGITS = 19


@dataclass(frozen=True)
class Record:
    """One tensor: type as safetensors spells it, shape, and bytes [start, stop) of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """The tensors of a file in the order of their bytes, and its metadata."""

    tensors: dict[str, Record]
    metadata: dict[str, str]


@dataclass(frozen=True)
class Limits:
    """How much a header may claim. Strict: for deltas, with safe names and no empty tensors."""

    header_bytes: int
    tensors: int
    dims: int
    metadata_bytes: int
    dtypes: frozenset[str]
    strict: bool


DELTA = Limits(
    header_bytes=8 << 20,
    tensors=20_000,
    dims=8,
    metadata_bytes=64 << 10,
    dtypes=frozenset({"F64", "F32", "F16", "BF16", "I64", "I32"}),
    strict=True,
)
CHECKPOINT = Limits(
    header_bytes=100_000_000,
    tensors=1_000_000,
    dims=64,
    metadata_bytes=100_000_000,
    dtypes=frozenset(WIDTH),
    strict=False,
)


def parse_header(text: bytes, file_size: int, limits: Limits, *, what: str) -> Header:
    """Check the JSON `text` of a header against a file of `file_size` bytes.

    The tensors must cover the file from the end of the header to its last byte, without hole or
    overlap. Raises FormatError, or NameRefused if limits are strict.
    """
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_distinct,
            parse_int=_integer,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the header of {what} is malformed: {error}") from None
    if not isinstance(value, dict):
        raise FormatError(f"the header of {what} is not a JSON object")
    metadata = _metadata(value.pop(METADATA), limits, what) if METADATA in value else {}
    _check_names(value, limits, what)
    offset = 8 + len(text)
    records = {
        name: _record(fields, offset, limits, f"{what}: tensor {quoted(name)}")
        for name, fields in value.items()
    }
    ordered = dict(sorted(records.items(), key=lambda item: (item[1].start, item[1].stop)))
    _check_coverage(ordered, offset, file_size, what)
    return Header(ordered, metadata)


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record: dict[str, object] = {}
    for key, value in pairs:
        if key in record:
            raise ValueError(f"the key {quoted(key)} stands twice")
        _utf8_size(key)
        record[key] = value
    return record


def _integer(text: str) -> int:
    # JSON has a negative zero, Python's integers have not, and safetensors takes it for a float.
    if text == "-0" or len(text) > _MAX_DIGITS:
        raise ValueError(f"the number {text[:30]} is not a size")
    return int(text)


def _refuse_number(text: str) -> None:
    raise ValueError(f"the number {text[:30]} is not an integer")


def _utf8_size(text: str) -> int:
    return len(text.encode("utf-8"))


def _metadata(value: object, limits: Limits, what: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise FormatError(f"{METADATA} of {what} is not a JSON object")
    size = 0
    metadata: dict[str, str] = {}
    for key, entry in value.items():
        if not isinstance(entry, str):
            raise FormatError(f"{METADATA} of {what}: {quoted(key)} is not a string")
        try:
            size += _utf8_size(key) + _utf8_size(entry)
        except UnicodeEncodeError:
            raise FormatError(
                f"{METADATA} of {what}: {quoted(key)} holds half a character"
            ) from None
        metadata[key] = entry
    if size > limits.metadata_bytes:
        raise FormatError(f"{METADATA} of {what} is larger than {limits.metadata_bytes} bytes")
    return metadata


def _check_names(names: Collection[str], limits: Limits, what: str) -> None:
    if len(names) > limits.tensors:
        raise FormatError(f"{what} holds {len(names)} tensors, more than {limits.tensors}")
    if limits.strict:
        if not names:
            raise FormatError(f"{what} holds no tensors")
        for name in names:
            check_tensor_name(name)
        check_distinct(names)


def _record(fields: object, offset: int, limits: Limits, where: str) -> Record:
    if not isinstance(fields, dict) or set(fields) != _FIELDS:
        raise FormatError(f"{where} must have dtype, shape and data_offsets, and nothing else")
    dtype = fields["dtype"]
    if not isinstance(dtype, str) or dtype not in limits.dtypes:
        raise FormatError(
            f"{where} has the type {quoted(str(dtype))}, which is not allowed here",
            hint=f"allowed: {', '.join(sorted(limits.dtypes))}",
        )
    shape = _shape(fields["shape"], limits, where)
    offsets = _integers(fields["data_offsets"])
    if offsets is None or len(offsets) != 2:
        raise FormatError(f"{where}: data_offsets must be two integers, none negative")
    start, stop = offsets
    size = prod(shape) * WIDTH[dtype]
    if stop - start != size:
        raise FormatError(
            f"{where} claims {stop - start} bytes, but {dtype} {list(shape)} takes {size}"
        )
    return Record(dtype, shape, offset + start, offset + stop)


def _shape(value: object, limits: Limits, where: str) -> tuple[int, ...]:
    shape = _integers(value)
    if shape is None:
        raise FormatError(f"{where}: the shape must be a list of integers, none negative")
    if len(shape) > limits.dims:
        raise FormatError(f"{where} has {len(shape)} dimensions, more than {limits.dims}")
    if prod(size for size in shape if size) > _MAX_COUNT:
        raise FormatError(f"{where} is too large for any machine: {list(shape)}")
    if limits.strict and (not shape or 0 in shape):
        raise FormatError(f"{where} is a scalar or empty: {list(shape)}")
    return shape


def _integers(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return None
    # bool is a subclass of int: JSON's true is not a size.
    return tuple(value) if all(type(item) is int and item >= 0 for item in value) else None


def _check_coverage(records: dict[str, Record], offset: int, file_size: int, what: str) -> None:
    for name, record in records.items():
        if record.start != offset:
            flaw = "a hole before" if record.start > offset else "an overlap with"
            raise FormatError(f"{what} has {flaw} tensor {quoted(name)}")
        offset = record.stop
    if offset != file_size:
        raise FormatError(
            f"the tensors of {what} end at byte {offset}, the file at {file_size}",
            hint="the file is cut short or something was appended; fetch it again",
        )
