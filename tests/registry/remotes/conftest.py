"""Remotes, and patches to send to them."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from pull_requests import TEXT, card_of
from weightpatch.registry.remotes.base import Bundle
from weightpatch.registry.remotes.folder.remote import FolderRemote
from weightpatch.registry.remotes.hub.asking import retrying
from weightpatch.registry.remotes.hub.remote import HubRemote
from weightpatch.registry.remotes.hub.repository import small_files
from weightpatch.registry.remotes.location import HubLocation

_HUBS = {"hub", "any_hub"}


@pytest.fixture
def hub_remote(any_hub) -> HubRemote:
    return HubRemote(HubLocation(None, None))


@pytest.fixture
def folder_remote(tmp_path) -> FolderRemote:
    return FolderRemote(tmp_path / "shared")


@pytest.fixture
def remote(request, transfer):
    """Each remote in turn: what all of them promise."""
    return request.getfixturevalue(request.param)


def pytest_generate_tests(metafunc):
    """Run what needs the hub twice: with large files sent by LFS, and by Xet."""
    if "remote" in metafunc.fixturenames:
        cases = [("folder_remote", "lfs"), ("hub_remote", "lfs"), ("hub_remote", "xet")]
        metafunc.parametrize(("remote", "transfer"), cases, indirect=["remote"])
    elif _HUBS.intersection(metafunc.fixturenames) and "transfer" not in _chosen(metafunc):
        metafunc.parametrize("transfer", ["lfs", "xet"])


def _chosen(metafunc) -> set[str]:
    """What a test says itself that it wants to be run with."""
    return {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}


@pytest.fixture
def bundle(make_patch, patch_name, tmp_path) -> Callable[..., Bundle]:
    """Make a bundle; `notes` become its attestations."""

    def make(version: int = 1, *, notes: tuple[bytes, ...] = (), **fields: object) -> Bundle:
        patch = make_patch(patch_name, version, **fields)
        return Bundle(patch, card_of(patch), dict(map(stored, notes)))

    def stored(note: bytes) -> tuple[str, Path]:
        digest = hashlib.sha256(note).hexdigest()
        path = tmp_path / digest
        path.write_bytes(note)
        return digest, path

    return make


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """The seconds that we and the Hub's client would have waited between tries; nobody does."""
    from huggingface_hub import file_download
    from huggingface_hub.utils import _http

    waited: list[float] = []
    quick = SimpleNamespace(sleep=waited.append, time=time.time, monotonic=time.monotonic)
    for module in (file_download, _http, retrying):
        monkeypatch.setattr(module, "time", quick)
    return waited


@pytest.fixture
def all_large(monkeypatch) -> None:
    """Let each file be fetched as large ones are: by the Hub's client, into its cache."""
    monkeypatch.setattr(small_files, "LIMIT", -1)


@pytest.fixture
def into(tmp_path) -> Path:
    """An empty folder to pull into."""
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


@pytest.fixture
def api(hub):
    """The client of the Hub itself, which draws nothing."""
    from huggingface_hub import HfApi
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    return HfApi()


@pytest.fixture
def fix(api) -> str:
    """A repository with a card and a large file; the commit."""
    from loopback_contents import CARD, LARGE, commit

    api.create_repo("acme/fix", private=True)
    return commit(api, "acme/fix", {"README.md": CARD.encode(), "delta.safetensors": LARGE})


@pytest.fixture
def there(hub, bundle):
    """A repository on the Hub for all to see, with version 1 in it."""
    HubRemote(HubLocation(None, None), private=False).push(bundle(1, seed=1, notes=(b"of one",)))
    hub.requests.clear()
    return hub["acme/tongues"]


@pytest.fixture
def better(bundle) -> Bundle:
    return bundle(2, seed=2, notes=(b"of two",))


@pytest.fixture
def proposed(there, hub, hub_remote, better, as_user):
    """The next version, proposed by somebody who may not write there; alice looks at it."""
    as_user("hf_mallory")
    made = hub_remote.propose(better, TEXT)
    as_user("hf_alice")
    hub.requests.clear()
    return made
