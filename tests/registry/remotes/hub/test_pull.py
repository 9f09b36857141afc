"""Pulling from the Hub: the bytes that were promised, or an error."""

from pathlib import Path

import pytest
from huggingface_hub import constants
from loopback_faults import DOWNLOAD, HANG_UP, Fault, corrupt, endless, with_headers
from loopback_messages import Reply
from weightpatch.patches.errors import (
    DigestMismatch,
    ExtraFile,
    LimitExceeded,
    ManifestError,
    SizeMismatch,
)
from weightpatch.registry.remotes.errors import (
    RemoteDenied,
    RemoteNotFound,
    RemoteUnreachable,
)


@pytest.fixture
def pushed(hub, hub_remote, bundle):
    """A version on the hub, nothing of it in the cache, and no request counted."""
    pushed = hub_remote.push(bundle(notes=(b'{"score": 1}',)))
    hub.requests.clear()
    return pushed


def cached(name: str) -> list[Path]:
    """Files of that name in the client's cache."""
    return list(Path(constants.HF_HUB_CACHE).glob(f"*/snapshots/*/{name}"))


def test_only_the_files_of_a_version_are_downloaded(hub, hub_remote, pushed, into):
    hub["acme/tongues"].put({"pytorch_model.bin": b"pickle", "evil.py": b"import os"})

    hub_remote.pull("acme/tongues", 1, into)

    assert not hub.asked("GET", "evil.py|pytorch_model")
    assert {path.name for path in into.iterdir()} == {
        "patch.json",
        "delta.safetensors",
        "requests.jsonl",
    }
    at = f"/resolve/{pushed.revision}/"
    assert all(at in path for _, path in hub.requests if "/resolve/" in path)


@pytest.mark.parametrize(
    "path", [DOWNLOAD, r"/requests\.jsonl$", r"/patch\.json$", "/attestations/"]
)
def test_a_damaged_download_is_fetched_once_more(hub, hub_remote, pushed, into, path):
    hub.faults.append(Fault("GET", path, after=corrupt))

    pulled = hub_remote.pull("acme/tongues", 1, into)

    assert pulled.patch.label == "acme/tongues@1"
    assert list(pulled.attestations.values()) == [b'{"score": 1}']
    assert hub.asked("GET", path) == 2


@pytest.mark.parametrize(
    ("path", "name"), [(DOWNLOAD, "delta.safetensors"), (r"/requests\.jsonl$", "requests.jsonl")]
)
@pytest.mark.usefixtures("all_large")
def test_a_download_that_stays_damaged_is_refused_and_not_kept(
    hub, hub_remote, pushed, into, tmp_path, path, name
):
    hub.faults.append(Fault("GET", path, after=corrupt, times=2))

    with pytest.raises(DigestMismatch, match=name):
        hub_remote.pull("acme/tongues", 1, into)

    assert not cached(name)
    (tmp_path / "again").mkdir()
    assert hub_remote.pull("acme/tongues", 1, tmp_path / "again").patch.label == "acme/tongues@1"


@pytest.mark.usefixtures("all_large")
def test_a_cache_that_went_bad_is_not_believed(hub, hub_remote, pushed, into, tmp_path):
    hub_remote.pull("acme/tongues", 1, into)
    (path,) = cached("delta.safetensors")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.resolve().write_bytes(data)
    (tmp_path / "again").mkdir()

    again = hub_remote.pull("acme/tongues", 1, tmp_path / "again")

    assert again.patch.files["delta.safetensors"].read_bytes()[-1] == data[-1] ^ 1


@pytest.mark.usefixtures("all_large")
def test_nothing_outside_of_the_cache_is_thrown_out(hub, hub_remote, pushed, into, tmp_path):
    hub_remote.pull("acme/tongues", 1, into)
    (path,) = cached("delta.safetensors")
    mine = tmp_path / "mine"
    mine.write_bytes(bytes(path.stat().st_size))
    path.unlink()
    path.symlink_to(mine)
    (tmp_path / "again").mkdir()

    hub_remote.pull("acme/tongues", 1, tmp_path / "again")

    assert mine.exists()


@pytest.mark.usefixtures("all_large")
def test_a_download_that_is_reset_leaves_nothing(hub, hub_remote, pushed, into, waits):
    hub.faults.append(Fault("GET", DOWNLOAD, instead=HANG_UP, times=None))

    with pytest.raises(RemoteUnreachable, match="broke off"):
        hub_remote.pull("acme/tongues", 1, into)
    assert not cached("delta.safetensors")


@pytest.mark.usefixtures("all_large")
def test_a_download_without_end_is_stopped(hub, hub_remote, pushed, into):
    hub.faults.append(Fault("GET", r"/requests\.jsonl$", after=endless))

    with pytest.raises(SizeMismatch, match="more than the"):
        hub_remote.pull("acme/tongues", 1, into)
    assert not cached("requests.jsonl")


@pytest.mark.parametrize("name", ["../../../evil", "..\\\\evil", "/tmp/evil"])
@pytest.mark.usefixtures("all_large")
def test_a_digest_that_is_a_path_is_refused(hub, hub_remote, pushed, into, name):
    lie = with_headers(X_Linked_Etag=f'"{name}"')
    hub.faults.append(Fault("HEAD", "/resolve/.*safetensors$", after=lie))

    with pytest.raises(RemoteUnreachable, match="leads out of the cache"):
        hub_remote.pull("acme/tongues", 1, into)
    assert not list(Path(constants.HF_HOME).glob("**/*evil*"))


def test_an_old_version_is_not_given_when_the_hub_fails(
    hub, hub_remote, bundle, pushed, into, tmp_path, waits
):
    hub_remote.pull("acme/tongues", None, into)
    hub_remote.push(bundle(2, seed=2))
    hub.faults.append(Fault("GET", "/refs$", instead=Reply(500), times=None))
    (tmp_path / "again").mkdir()

    with pytest.raises(RemoteUnreachable, match="status 500"):
        hub_remote.pull("acme/tongues", None, tmp_path / "again")


@pytest.mark.parametrize("token", [None, "hf_mallory"])
def test_a_private_repository_looks_like_none(hub, hub_remote, pushed, into, as_user, token):
    as_user(token)

    with pytest.raises(RemoteNotFound, match="or does not show it to you") as caught:
        hub_remote.pull("acme/tongues", 1, into)
    assert "hf auth login" in caught.value.hint


@pytest.mark.parametrize("token", [None, "hf_mallory"])
def test_a_gated_repository_says_so(hub, hub_remote, pushed, into, as_user, token):
    hub["acme/tongues"].private = False
    hub["acme/tongues"].gated = True
    as_user(token)

    with pytest.raises(RemoteDenied, match="is gated") as caught:
        hub_remote.pull("acme/tongues", 1, into)
    assert "ask for access" in caught.value.hint


def test_a_patch_under_another_name_is_refused(hub, hub_remote, bundle, into):
    hub_remote.push(bundle())
    stolen = hub.make("mallory/tongues")
    stolen.tags["v1"] = stolen.add(hub["acme/tongues"].head())

    with pytest.raises(ManifestError, match="asked for mallory/tongues@1"):
        hub_remote.pull("mallory/tongues", 1, into)


def test_a_version_under_another_number_is_refused(hub, hub_remote, pushed, into):
    repository = hub["acme/tongues"]
    repository.tags["v2"] = repository.tags["v1"]

    with pytest.raises(ManifestError, match="asked for acme/tongues@2"):
        hub_remote.pull("acme/tongues", None, into)


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"requests.jsonl": b"{}\n"}, SizeMismatch),
        ({"patch.json": b"{}"}, ManifestError),
        ({"patch.json": b" " * (1 << 20) + b" "}, LimitExceeded),
        ({"attestations/notes.txt": b"hello"}, ExtraFile),
        ({f"attestations/{'0' * 64}.json": b"hello"}, DigestMismatch),
        ({f"attestations/{'0' * 64}.json": b" " * ((4 << 20) + 1)}, LimitExceeded),
    ],
)
def test_a_changed_commit_is_refused(hub, hub_remote, pushed, into, files, error):
    repository = hub["acme/tongues"]
    repository.tags["v1"] = repository.put(files)

    with pytest.raises(error):
        hub_remote.pull("acme/tongues", 1, into)


@pytest.mark.parametrize("path", ["requests.jsonl", "patch.json", f"attestations/{'0' * 64}.json"])
def test_what_is_too_large_is_not_even_downloaded(hub, hub_remote, pushed, into, path):
    repository = hub["acme/tongues"]
    repository.tags["v1"] = repository.put({path: b" " * ((4 << 20) + 1)})

    with pytest.raises((LimitExceeded, SizeMismatch)):
        hub_remote.pull("acme/tongues", 1, into)
    assert not hub.asked("GET", f"/resolve/.*/{path}$")


def test_a_bit_flipped_at_its_source_is_refused(hub, hub_remote, pushed, into):
    repository = hub["acme/tongues"]
    data = bytearray(repository.head()["delta.safetensors"].data)
    data[-1] ^= 1
    repository.tags["v1"] = repository.put({"delta.safetensors": bytes(data)})

    with pytest.raises(DigestMismatch, match=r"delta\.safetensors") as caught:
        hub_remote.pull("acme/tongues", 1, into)
    assert caught.value.message.startswith("hf://acme/tongues@v1: ")


def test_a_repository_without_versions_is_not_a_patch(hub, hub_remote, into):
    hub.make("acme/tongues")

    with pytest.raises(RemoteNotFound, match="has no versions"):
        hub_remote.pull("acme/tongues", None, into)


def test_a_missing_file_is_named(hub, hub_remote, pushed, into):
    repository = hub["acme/tongues"]
    tree = {path: blob for path, blob in repository.head().items() if path != "requests.jsonl"}
    repository.tags["v1"] = repository.add(tree)

    with pytest.raises(ManifestError, match=r"has no requests\.jsonl"):
        hub_remote.pull("acme/tongues", 1, into)
