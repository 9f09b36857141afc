"""Fixtures of the loopback hub; loading this first points the environment at it."""

import shutil
from collections.abc import Callable, Iterator

import loopback_hub
import pytest

HUB = loopback_hub.install()


@pytest.fixture
def hub(monkeypatch) -> Iterator[loopback_hub.LoopbackHub]:
    """The hub of this process, empty, with an empty cache, and alice logged in."""
    from huggingface_hub import constants

    assert HUB.url == constants.ENDPOINT, "huggingface_hub was imported before this"
    HUB.clear()
    shutil.rmtree(constants.HF_HUB_CACHE, ignore_errors=True)
    monkeypatch.setenv("HF_TOKEN", "hf_alice")
    yield HUB
    assert all(fault.hits == fault.times for fault in HUB.faults), "a fault was not hit"


@pytest.fixture
def as_user(monkeypatch) -> Callable[[str | None], None]:
    """Be another user from here on, or nobody."""

    def become(token: str | None) -> None:
        if token is None:
            monkeypatch.delenv("HF_TOKEN")
        else:
            monkeypatch.setenv("HF_TOKEN", token)

    return become
