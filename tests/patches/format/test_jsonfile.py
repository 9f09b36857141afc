"""JSON: one value has one spelling, and what JSON cannot say is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.errors import ManifestError
from weightpatch.patches.format.jsonfile import MAX_DEPTH, canonical, decode, parse, parse_canonical

plain = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(plain, values, max_size=3))
def test_what_is_written_reads_back_equal(record: dict[str, object]):
    assert parse_canonical(canonical(record, what="x"), what="x") == record


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}',
        b'{"b":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":-0}',
        b'{"a":1e2}',
        b'{"a":9007199254740993}',
        b'{"a":"\\u0041"}',
        b'{"a":1}\n',
    ],
)
def test_another_spelling_of_a_record_is_refused(data: bytes):
    with pytest.raises(ManifestError, match="not canonical"):
        parse_canonical(data, what="x")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        b'{"a":' * 200_000,
    ],
)
def test_malformed_json_is_refused(data: bytes):
    with pytest.raises(ManifestError, match="not well-formed"):
        parse(data, what="x")


@pytest.mark.parametrize("data", [b"[]", b"null", b'"a"', b"1"])
def test_a_record_is_an_object(data: bytes):
    with pytest.raises(ManifestError, match="not a JSON object"):
        parse(data, what="x")


def test_nesting_may_be_as_deep_as_the_limit_and_no_deeper():
    assert decode(b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH)
    with pytest.raises(ValueError, match="nested"):
        decode(b"[" * (MAX_DEPTH + 1) + b"1" + b"]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 2**53, {1: 2}, {"\ud800": 1}, "\ud800", {1, 2}, b"bytes"],
    ids=repr,
)
def test_what_json_cannot_say_is_not_written(value: object):
    with pytest.raises(ManifestError, match="cannot be written"):
        canonical(value, what="x")


def test_endless_nesting_is_not_written():
    value: list[object] = []
    for _ in range(10_000):
        value = [value]
    with pytest.raises(ManifestError, match="cannot be written"):
        canonical(value, what="x")


def test_a_large_float_survives():
    assert parse_canonical(canonical({"a": 1e16}, what="x"), what="x") == {"a": 1e16}
