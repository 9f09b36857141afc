"""Files by their digest: whole or not there."""

import os
import resource
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.digests import sha256
from weightpatch.patches.errors import DigestMismatch, NoSpace, SizeMismatch
from weightpatch.patches.format.manifest import FileRecord
from weightpatch.registry.blobs import PARTIAL, BlobStore, is_abandoned
from weightpatch.registry.errors import BlobLost


@pytest.fixture
def blobs(tmp_path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def files(blobs: BlobStore) -> list[str]:
    return [path.name for path in blobs.root.rglob("*") if path.is_file()]


def test_a_blob_lies_under_its_digest_and_cannot_be_written_by_accident(blobs, tmp_path):
    record = blobs.put_bytes(b"delta")
    path = tmp_path / "blobs" / "sha256" / record.sha256[:2] / record.sha256
    assert blobs.require(record.sha256) == path
    assert path.read_bytes() == b"delta"
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


@given(data=st.binary(max_size=100))
def test_any_bytes_come_back(tmp_path_factory, data):
    blobs = BlobStore(tmp_path_factory.mktemp("blobs"))
    record = blobs.put_bytes(data)
    assert record == FileRecord(sha256(data), len(data))
    assert blobs.require(record.sha256).read_bytes() == data
    assert blobs.missing([record]) == []


def test_putting_twice_leaves_one_file_that_is_young_again(blobs):
    record = blobs.put_bytes(b"delta")
    path = blobs.path(record.sha256)
    os.utime(path, (1, 1))
    before = path.stat().st_ino
    blobs.put_bytes(b"delta")
    assert path.stat().st_ino == before
    assert path.stat().st_mtime > 1
    assert files(blobs) == [record.sha256]


@pytest.mark.parametrize("damage", [b"delt", b"DELTA", b""])
def test_a_damaged_blob_is_replaced_by_putting_it_again(blobs, damage):
    record = blobs.put_bytes(b"delta")
    path = blobs.path(record.sha256)
    path.chmod(0o644)
    path.write_bytes(damage)
    with pytest.raises(BlobLost, match="damaged"):
        blobs.require(record.sha256)
    blobs.put_bytes(b"delta")
    assert blobs.require(record.sha256).read_bytes() == b"delta"


def test_a_file_that_is_not_what_was_promised_leaves_nothing(blobs, tmp_path):
    source = tmp_path / "delta.safetensors"
    source.write_bytes(b"delta")
    with pytest.raises(SizeMismatch):
        blobs.put_file(source, FileRecord(sha256(b"delta"), 6))
    with pytest.raises(DigestMismatch, match=r"delta\.safetensors"):
        blobs.put_file(source, FileRecord(sha256(b"other"), 5))
    assert files(blobs) == []


def test_what_is_not_there_is_said(blobs):
    record = FileRecord(sha256(b"delta"), 5)
    assert blobs.missing([record]) == [record.sha256]
    with pytest.raises(BlobLost, match="missing"):
        blobs.require(record.sha256)


def test_a_cut_blob_counts_as_missing(blobs):
    record = blobs.put_bytes(b"delta")
    path = blobs.path(record.sha256)
    path.chmod(0o644)
    os.truncate(path, 4)
    assert blobs.missing([record]) == [record.sha256]


def test_a_partial_file_is_abandoned_only_when_nobody_writes_to_it(blobs, tmp_path):
    """The source is read while the partial file is open."""
    seen = []

    class Watched(type(tmp_path)):
        def open(self, *arguments):
            seen.append([is_abandoned(path) for path in blobs.root.rglob(f"{PARTIAL}*")])
            return super().open(*arguments)

    (tmp_path / "delta.safetensors").write_bytes(b"delta")
    source = Watched(tmp_path / "delta.safetensors")
    blobs.put_file(source, FileRecord(sha256(b"delta"), 5))
    assert seen == [[False]]
    left = blobs.path(sha256(b"delta")).with_name(f"{PARTIAL}1-0")
    left.write_bytes(b"del")
    assert is_abandoned(left)


def test_a_full_disk_is_told_and_leaves_nothing(blobs, tmp_path):
    source = tmp_path / "delta.safetensors"
    source.write_bytes(bytes(4_096))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_048, limits[1]))
    try:
        with pytest.raises(NoSpace, match=r"no room for delta\.safetensors"):
            blobs.put_file(source, FileRecord(sha256(bytes(4_096)), 4_096))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(blobs) == []
