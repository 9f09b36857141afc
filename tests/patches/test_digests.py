"""Digests, and a cache of them that no change of a file can fool."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches import digests
from weightpatch.patches.digests import (
    DigestCache,
    file_stamp,
    is_sha256,
    sha256,
    sha256_file,
    sha256_range,
)

OLD = {"weight": "0" * 64}
HOUR = 3_600_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def cache(tmp_path: Path) -> DigestCache:
    return DigestCache(tmp_path / "cache")


@pytest.fixture
def kept(cache: DigestCache, file: Path) -> Path:
    """An entry of the cache, an hour younger than the file, so that it is believed."""
    cache.put(file, OLD, file_stamp(file))
    return age(cache)


def age(cache: DigestCache) -> Path:
    (entry,) = cache.folder.iterdir()
    later = entry.stat().st_mtime_ns + HOUR
    os.utime(entry, ns=(later, later))
    return entry


def get(cache: DigestCache, file: Path) -> dict[str, str]:
    return cache.get(file, file_stamp(file))


@given(st.binary(max_size=50), st.integers(0, 50), st.integers(0, 50))
def test_a_range_has_the_digest_of_its_bytes(tmp_path_factory, data: bytes, start: int, stop: int):
    path = tmp_path_factory.getbasetemp() / "range"
    path.write_bytes(data)
    with path.open("rb") as file:
        assert sha256_range(file, start, max(start, stop)) == sha256(data[start:stop])


def test_a_range_longer_than_a_block_is_hashed_whole(file: Path, monkeypatch):
    monkeypatch.setattr(digests, "BLOCK", 3)
    with file.open("rb") as stream:
        assert sha256_range(stream, 1, 7) == hashlib.sha256(b"eights").hexdigest()


def test_a_file_has_the_digest_of_its_bytes(file: Path):
    assert sha256_file(file) == hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize("value", [None, 1, "", "0" * 63, "0" * 65, "A" * 64, "g" * 64, b"0" * 64])
def test_what_is_no_sha256_is_not_taken_for_one(value: object):
    assert not is_sha256(value)


def test_digests_of_an_untouched_file_are_kept(cache: DigestCache, file: Path, kept: Path):
    assert get(cache, file) == OLD


def test_a_link_to_a_file_is_that_file(cache: DigestCache, file: Path, kept: Path):
    link = file.with_name("link")
    link.symlink_to(file)
    assert get(cache, link) == OLD


def test_an_entry_as_young_as_the_file_is_not_believed(cache: DigestCache, file: Path):
    cache.put(file, OLD, file_stamp(file))
    assert get(cache, file) == {}


def test_a_changed_file_is_noticed_though_its_mtime_was_put_back(
    cache: DigestCache, file: Path, kept: Path
):
    before = file.stat()
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert get(cache, file) == {}


def test_a_replaced_file_is_noticed(cache: DigestCache, file: Path, kept: Path):
    before = file.stat()
    other = file.with_name("other")
    other.write_bytes(b"WEIGHTS")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert get(cache, file) == {}


def test_a_file_that_changed_since_it_was_opened_has_no_digests(
    cache: DigestCache, file: Path, kept: Path
):
    opened = file_stamp(file)
    file.write_bytes(b"other weights")
    assert cache.get(file, opened) == {}


def test_digests_of_a_file_that_changed_meanwhile_are_not_kept(cache: DigestCache, file: Path):
    opened = file_stamp(file)
    file.write_bytes(b"other weights")
    cache.put(file, OLD, opened)
    assert not cache.folder.exists()


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"[]", b"null", b'{"stamp": []}', b"[" * 200_000],
    ids=lambda data: repr(data[:9]),
)
def test_a_damaged_entry_is_ignored(cache: DigestCache, file: Path, kept: Path, data: bytes):
    kept.write_bytes(data)
    age(cache)
    assert get(cache, file) == {}


def test_an_entry_without_true_digests_is_ignored(cache: DigestCache, file: Path):
    cache.put(file, {"weight": "not a digest"}, file_stamp(file))
    age(cache)
    assert get(cache, file) == {}


def test_a_folder_that_cannot_be_written_is_no_error(file: Path):
    cache = DigestCache(file / "cache")
    cache.put(file, OLD, file_stamp(file))
    assert get(cache, file) == {}


def test_a_file_name_that_is_not_utf8_can_be_cached(cache: DigestCache, tmp_path: Path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.safetensors"))
    path.write_bytes(b"weights")
    cache.put(path, OLD, file_stamp(path))
    age(cache)
    assert get(cache, path) == OLD
