"""Small files come with one request each, and are kept by their digest: bad ones are not."""

from pathlib import Path

import pytest
from huggingface_hub import constants, get_session
from loopback_faults import DOWNLOAD, Fault, corrupt
from weightpatch.patches.errors import DigestMismatch
from weightpatch.registry.remotes.hub.repository import small_files

TEXT = r"/requests\.jsonl$"


@pytest.fixture
def transfer():
    """Small files come the same way in both modes."""
    return "lfs"


@pytest.fixture
def sent(hub, hub_remote, bundle):
    """A version on the hub, nothing of it kept, and no request counted."""
    made = bundle()
    hub_remote.push(made)
    hub.requests.clear()
    return made


@pytest.fixture
def again(tmp_path):
    """Another empty folder to pull into."""
    folder = tmp_path / "again"
    folder.mkdir()
    return folder


def test_what_another_version_brought_is_not_fetched_again(hub, hub_remote, sent, bundle, into):
    hub_remote.pull("acme/tongues", 1, into)
    hub_remote.push(bundle(2, message="the same delta and requests"))
    hub.requests.clear()
    for file in into.iterdir():
        file.unlink()

    hub_remote.pull("acme/tongues", 2, into)

    assert hub.asked("GET", "/resolve/|/storage/") == hub.asked("GET", r"/patch\.json$") == 1


def test_they_count_as_downloads(hub_remote, sent, into, monkeypatch):
    session = get_session()
    asked = []
    hooks = {**session.event_hooks, "request": [*session.event_hooks["request"], asked.append]}
    monkeypatch.setattr(session, "event_hooks", hooks)

    hub_remote.pull("acme/tongues", 1, into)

    counted = [request for request in asked if "/resolve/" in request.url.path]
    assert len(counted) == 3
    assert all(request.headers[constants.X_HF_DOWNLOAD_COUNTER] == "1" for request in counted)


@pytest.mark.parametrize("path", [DOWNLOAD, TEXT])
def test_a_file_that_stays_damaged_is_not_kept(hub, hub_remote, sent, into, again, path):
    hub.faults.append(Fault("GET", path, after=corrupt, times=2))

    with pytest.raises(DigestMismatch):
        hub_remote.pull("acme/tongues", 1, into)

    assert hub_remote.pull("acme/tongues", 1, again).patch.digest == sent.patch.digest
    assert hub.asked("GET", path) == 3


@pytest.mark.parametrize("name", ["delta.safetensors", "patch.json"])
@pytest.mark.parametrize("spoil", [bytes.swapcase, lambda _: b"", lambda data: data * 5_000])
def test_a_kept_file_that_went_bad_is_not_believed(hub_remote, sent, into, again, name, spoil):
    hub_remote.pull("acme/tongues", 1, into)
    place = kept(sent, name)
    place.write_bytes(spoil(place.read_bytes()))

    assert hub_remote.pull("acme/tongues", 1, again).patch.digest == sent.patch.digest
    assert kept(sent, name) == place


def test_nothing_outside_is_thrown_out(hub_remote, sent, into, again, tmp_path):
    hub_remote.pull("acme/tongues", 1, into)
    mine = tmp_path / "mine"
    place = kept(sent)
    mine.write_bytes(bytes(place.stat().st_size))
    place.unlink()
    place.symlink_to(mine)

    hub_remote.pull("acme/tongues", 1, again)

    assert mine.exists()
    assert not place.is_symlink()


def test_a_file_of_the_limit_is_small_and_a_longer_one_is_not(
    hub, hub_remote, sent, into, again, monkeypatch
):
    size = sent.records()["patch.json"].size
    monkeypatch.setattr(small_files, "LIMIT", size)
    hub_remote.pull("acme/tongues", 1, into)
    assert not hub.asked("HEAD", "")

    kept(sent, "patch.json").unlink()
    monkeypatch.setattr(small_files, "LIMIT", size - 1)
    hub_remote.pull("acme/tongues", 1, again)
    assert hub.asked("HEAD", r"/patch\.json$") == hub.asked("HEAD", "") == 1


def kept(sent, name="delta.safetensors") -> Path:
    """Where a file is kept that was pulled."""
    data = sent.patch.files[name].read_bytes()
    folder = Path(constants.HF_ASSETS_CACHE) / "weightpatch"
    (found,) = [path for path in folder.rglob("*") if path.is_file() and path.read_bytes() == data]
    return found
