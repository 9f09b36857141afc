"""Remotes, and patches to send to them."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from weightpatch.registry.remotes.base import Bundle
from weightpatch.registry.remotes.folder import FolderRemote
from weightpatch.registry.remotes.hub.remote import HubRemote
from weightpatch.registry.remotes.location import HubLocation


@pytest.fixture
def hub_remote(hub) -> HubRemote:
    return HubRemote(HubLocation(None, None))


@pytest.fixture
def folder_remote(tmp_path) -> FolderRemote:
    return FolderRemote(tmp_path / "shared")


@pytest.fixture(params=["folder_remote", "hub_remote"])
def remote(request):
    """Each remote in turn: what all of them promise."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def bundle(make_patch, tmp_path) -> Callable[..., Bundle]:
    """Make a bundle; `notes` become its attestations."""

    def make(version: int = 1, *, notes: tuple[bytes, ...] = (), **fields: object) -> Bundle:
        patch = make_patch("acme/tongues", version, **fields)
        card = f"---\ntags: [model-edit]\n---\n\n# {patch.label}\n"
        return Bundle(patch, card, dict(map(stored, notes)))

    def stored(note: bytes) -> tuple[str, Path]:
        digest = hashlib.sha256(note).hexdigest()
        path = tmp_path / digest
        path.write_bytes(note)
        return digest, path

    return make


@pytest.fixture
def into(tmp_path) -> Path:
    """An empty folder to pull into."""
    folder = tmp_path / "into"
    folder.mkdir()
    return folder
