"""HF_HUB_OFFLINE=1: what is here works, what needs the Hub says so at once, and nobody is asked."""

import json

import pytest


@pytest.fixture
def pinned(stocked, hub):
    """The base of the desk, as a model on the hub."""
    files = {path.name: path.read_bytes() for path in stocked.base.path.iterdir()}
    hub.make("acme/pico").put(files)
    return f"acme/pico@{hub['acme/pico'].branches['main']}"


def test_all_that_is_here_works_and_nobody_is_asked(stocked, pinned, hub, tmp_path, monkeypatch):
    online = tmp_path / "online"
    told = stocked.run("apply", "acme/one", "--base", "acme/pico", "--out", online)
    assert told.returncode == 0, told.stderr
    assert "of acme/pico, " in told.stderr
    hub.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    for number, base in enumerate(("acme/pico", pinned)):
        build = tmp_path / f"build-{number}"
        stocked.ok("apply", "acme/one", "--base", base, "--out", build)
        record = json.loads((build / "weightpatch.json").read_bytes())
        assert f"{record['base_id']}@{record['base_revision']}" == pinned
    stocked.ok("verify", build)
    stocked.ok("check", "acme/one", "acme/two", "--base", pinned)
    assert "acme/two" in stocked.ok("list")
    stocked.ok("show", "acme/one")
    stocked.ok("push", "acme/one", tmp_path / "stick")
    stocked.ok("pull", "acme/two", stocked.exchange)
    stocked.ok("pull", "acme/two", stocked.exchange, "--all-versions")

    assert not hub.requests


def test_what_needs_the_hub_says_so_without_asking(stocked, pinned, hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    for command in (
        ("push", "acme/one", "hf://"),
        ("pull", "hf://acme/one@v1"),
        ("pull", "hf://acme/one@main"),
        ("pull", "acme/one", "hf://", "--all-versions"),
        ("propose", "acme/one", "hf://acme/two"),
        ("review", "hf://acme/one"),
        ("review", "hf://acme/one/pr/1"),
        ("search", "--hub", "one"),
        ("show", "hf://acme/one"),
        ("apply", "acme/one", "--base", "acme/pico", "--out", "out"),
    ):
        told = stocked.fails(1, "E_REMOTE", *command)
        assert "offline mode is on" in told
        assert "HF_HUB_OFFLINE" in told
    assert not hub.requests


def test_nothing_is_fetched_for_a_place_that_is_taken(stocked, pinned, hub, tmp_path):
    (tmp_path / "mine").mkdir()
    hub.requests.clear()

    apply = ("apply", "acme/one", "--base", pinned, "--out")
    stocked.fails(1, "E_EXISTS", *apply, tmp_path / "mine")
    said = stocked.fails(1, "E_PATH", *apply, tmp_path / "nowhere" / "out")

    assert f"there is no folder {tmp_path / 'nowhere'}" in said
    assert hub.requests == []
