"""Tests that any hub must pass: against the loopback hub, or with --foreign-hub against another.

They are marked `any_hub`, and do only what a user of a hub can. The other hub is the one that
HF_ENDPOINT and HF_TOKEN name where pytest is started; what they make there is private but where a
test says otherwise, has names that were never used, and is deleted afterwards.
"""

import functools
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import loopback_hub
import pytest
from loopback_fixtures import new_client
from weightpatch.patches.errors import NameRefused
from weightpatch.patches.format.names import check_patch_name

LONGEST_LAG = 120
"""Seconds within which a hub's search must know of what was pushed."""


def pytest_addoption(parser):
    parser.addoption(
        "--foreign-hub",
        action="store_true",
        help="run the tests marked any_hub, and no others, against HF_ENDPOINT with HF_TOKEN",
    )


def pytest_configure(config):
    """Give the environment back what it said of a hub, before anything reads it."""
    if not config.getoption("foreign_hub"):
        return
    missing = [name for name in loopback_hub.USED if not loopback_hub.BEFORE.get(name)]
    if missing:
        raise pytest.UsageError(
            f"--foreign-hub needs {' and '.join(missing)} in the environment: the hub's address, "
            "and a token that may make and delete repositories in its owner's namespace"
        )
    os.environ.update(loopback_hub.BEFORE)


def pytest_collection_modifyitems(config, items):
    if config.getoption("foreign_hub"):
        others = [item for item in items if item.get_closest_marker("any_hub") is None]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


@pytest.fixture
def is_foreign(request) -> bool:
    """Whether the hub is somebody else's."""
    return bool(request.config.getoption("foreign_hub"))


@pytest.fixture
def any_hub(request, is_foreign, monkeypatch, transfer) -> None:
    """A hub of which nothing is known but what it answers, and a client that remembers nothing."""
    if is_foreign:
        new_client(monkeypatch, transfer)
    else:
        request.getfixturevalue("hub")


@pytest.fixture
def patiently(is_foreign) -> Callable[[Callable[[], object]], None]:
    """Ask until the answer is yes: what a real hub finds by searching is some time behind."""

    def ask(question: Callable[[], object]) -> None:
        last = time.monotonic() + (LONGEST_LAG if is_foreign else 0)
        while not question() and time.monotonic() < last:
            time.sleep(5)

    return ask


@pytest.fixture
def new_name(request, is_foreign) -> Iterator[Callable[[], str]]:
    """Name a patch whose repository does not exist yet, and is deleted afterwards.

    Of the loopback hub, which is empty in each test, the first name is always the same.
    """
    names: list[str] = []

    def new() -> str:
        if is_foreign:
            request.getfixturevalue("any_hub")
            name = f"{_namespace()}/weightpatch-test-{secrets.token_hex(6)}"
        else:
            name = f"acme/tongues{len(names) or ''}"
        names.append(name)
        return name

    yield new
    if is_foreign:
        _delete(names)


@pytest.fixture
def patch_name(new_name) -> str:
    """The name of the patch that a test is about."""
    return new_name()


@functools.cache
def _namespace() -> str:
    """The account that the token belongs to, or an organisation of it whose name a patch can have.

    Asked once: hubs do not like to be asked that often.
    """
    from huggingface_hub import HfApi

    who = HfApi().whoami()
    names = [str(who["name"]), *(str(one["name"]) for one in who.get("orgs", ()))]
    for name in names:
        with suppress(NameRefused):
            return check_patch_name(f"{name}/tongues").partition("/")[0]
    pytest.fail(f"none of {', '.join(names)} can be the namespace of a patch: it has small letters")


def _delete(names: list[str]) -> None:
    from huggingface_hub import HfApi

    for name in names:
        HfApi().delete_repo(name, missing_ok=True)
