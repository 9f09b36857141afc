"""Fixtures of the loopback hub; loading this first points the environment at it."""

import shutil
from collections.abc import Callable, Iterator

import loopback_hub
import pytest

HUB = loopback_hub.install()


@pytest.fixture
def transfer() -> str:
    """How the client moves large files: `lfs` or `xet`; tests of remotes try both."""
    return "lfs"


@pytest.fixture
def hub(monkeypatch, transfer) -> Iterator[loopback_hub.LoopbackHub]:
    """The hub of this process, empty, with a client that remembers nothing, and alice logged in."""
    from huggingface_hub import constants

    assert HUB.url == constants.ENDPOINT, "huggingface_hub was imported before this"
    HUB.clear()
    new_client(monkeypatch, transfer)
    monkeypatch.setenv("HF_TOKEN", "hf_alice")
    yield HUB
    assert all(fault.was_hit for fault in HUB.faults), HUB.faults


def new_client(monkeypatch: pytest.MonkeyPatch, transfer: str) -> None:
    """Choose how large files go; empty the caches, and end the Xet session with its tokens."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _xet

    _xet.abort_xet_session()
    _xet.XET_CONNECTION_INFO_CACHE.clear()
    # The client reads the variable at its import, and this in its place at every transfer.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", transfer == "lfs")
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1" if transfer == "lfs" else "0")
    for cache in (constants.HF_XET_CACHE, constants.HF_HUB_CACHE, constants.HF_ASSETS_CACHE):
        shutil.rmtree(cache, ignore_errors=True)


@pytest.fixture
def as_user(monkeypatch) -> Callable[[str | None], None]:
    """Be another user from here on, or nobody."""

    def become(token: str | None) -> None:
        if token is None:
            monkeypatch.delenv("HF_TOKEN")
        else:
            monkeypatch.setenv("HF_TOKEN", token)

    return become
