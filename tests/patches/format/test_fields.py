"""Fields of a JSON object: each of its type, none missing, none unknown."""

import pytest
from weightpatch.patches.errors import LimitExceeded, ManifestError
from weightpatch.patches.format import fields
from weightpatch.patches.format.fields import Fields

DIGEST = "0123456789abcdef" * 4


def read(kind: str, value: object) -> object:
    return getattr(Fields({"it": value}, "a record"), kind)("it")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "two\nlines\tand é"),
        ("optional_text", None),
        ("optional_text", "x"),
        ("line", "one line, é"),
        ("optional_line", None),
        ("optional_line", "x"),
        ("digest", DIGEST),
        ("optional_digest", None),
        ("optional_digest", DIGEST),
        ("integer", 0),
        ("number", 0.5),
        ("number", 3),
        ("time", "2024-02-29T23:59:59Z"),
        ("mapping", {"a": 1}),
        ("items", [1]),
    ],
)
def test_a_field_of_the_right_type_is_given_as_it_is(kind: str, value: object):
    assert read(kind, value) == value


def test_lists_come_as_tuples():
    assert read("digests", [DIGEST]) == (DIGEST,)
    assert read("shape", [2, 3]) == (2, 3)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", None),
        ("text", 1),
        ("text", "\x1b[2J"),
        ("text", "a\rb"),
        ("text", "a\0b"),
        ("text", "\x9b"),
        ("optional_text", 1),
        ("digest", None),
        ("digest", DIGEST.upper()),
        ("digest", DIGEST[:-1]),
        ("optional_digest", ""),
        ("digests", DIGEST),
        ("digests", [DIGEST, "x"]),
        ("integer", True),
        ("integer", 1.0),
        ("integer", -1),
        ("number", True),
        ("number", "1"),
        ("number", -0.5),
        ("time", "2026-01-31"),
        ("time", "2026-01-31T12:00:00+00:00"),
        ("time", "2026-02-30T12:00:00Z"),
        ("time", "2026-01-31T24:01:00Z"),
        ("time", "\uff12026-01-31T12:00:00Z"),
        ("mapping", []),
        ("items", {}),
        ("shape", [2, -1]),
        ("shape", [2, 3.0]),
        ("shape", [True]),
        ("shape", [1] * 9),
    ],
)
def test_a_field_of_the_wrong_type_is_refused(kind: str, value: object):
    with pytest.raises(ManifestError, match="it in a record must be"):
        read(kind, value)


def test_a_text_may_be_as_long_as_the_limit_and_no_longer():
    assert read("text", "x" * fields.MAX_TEXT)
    with pytest.raises(LimitExceeded):
        read("text", "x" * (fields.MAX_TEXT + 1))


def test_a_missing_field_is_named():
    with pytest.raises(ManifestError, match="a record lacks 'it'"):
        Fields({}, "a record").text("it")


def test_an_unknown_field_is_named():
    reader = Fields({"it": "x", "odd": 1}, "a record")
    reader.text("it")
    with pytest.raises(ManifestError, match="unknown field 'odd'"):
        reader.done()


def test_a_record_is_an_object():
    with pytest.raises(ManifestError, match="not a JSON object"):
        Fields([], "a record")


@pytest.mark.parametrize("kind", ["line", "optional_line"])
@pytest.mark.parametrize("value", ["a\nb", "a\tb", "a\x1bb", "a\u2029b", "a\u2066b", 1, []])
def test_a_line_has_nothing_that_breaks_it(kind: str, value: object):
    with pytest.raises(ManifestError):
        read(kind, value)
