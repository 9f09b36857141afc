"""Checkpoints: three lines with one spelling."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.errors import FormatError
from weightpatch.registry.ledger.checkpoints import Checkpoint, origin_of

ROOT = bytes(range(32))
TEXT = b"weightpatch/00112233aabbccdd\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"


def test_a_checkpoint_is_three_lines():
    found = Checkpoint(origin_of(bytes.fromhex("00112233aabbccdd" + "00" * 24)), 5, ROOT)
    assert str(found).encode() == TEXT
    assert Checkpoint.parse(TEXT) == found


@given(st.integers(1, 10**15 - 1), st.binary(min_size=32, max_size=32))
def test_every_checkpoint_is_read_as_it_was_written(size, root):
    found = Checkpoint("weightpatch/00112233aabbccdd", size, root)
    assert Checkpoint.parse(str(found).encode()) == found


LAST_BITS = TEXT.replace(b"Hh8=", b"Hh9=")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        TEXT[:-1],
        TEXT + b"\n",
        TEXT + b"\n\xe2\x80\x94 signer signature\n",
        b" " + TEXT,
        TEXT.replace(b"\n", b"\r\n"),
        TEXT.replace(b"\n5\n", b"\n05\n"),
        TEXT.replace(b"\n5\n", b"\n0\n"),
        TEXT.replace(b"\n5\n", b"\n-5\n"),
        TEXT.replace(b"\n5\n", b"\n+5\n"),
        TEXT.replace(b"\n5\n", "\n\u0665\n".encode()),
        TEXT.replace(b"\n5\n", b"\n" + b"5" * 400 + b"\n"),
        TEXT.replace(b"\n5\n", b"\n" + b"9" * 16 + b"\n"),
        TEXT.replace(b"weightpatch", b"weightwatch"),
        TEXT.replace(b"aabb", b"AABB"),
        TEXT.replace(b"=", b""),
        LAST_BITS,
        TEXT.replace(b"AAEC", b"AA-C"),
        b"\xff" + TEXT,
        b"a" * 10_000_000,
        b"weightpatch/00112233aabbccdd\n5\n" + base64.b64encode(bytes(33)) + b"\n",
    ],
)
def test_any_other_spelling_is_refused(data):
    with pytest.raises(FormatError, match="not a checkpoint"):
        Checkpoint.parse(data)
