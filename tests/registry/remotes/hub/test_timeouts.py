"""Nothing that is asked of a hub is waited for without end."""

import sys

import huggingface_hub
import pytest
from huggingface_hub.utils import get_session
from huggingface_hub.utils._http import default_client_factory
from loopback_faults import Fault, slow
from pull_requests import as_bundle
from safetensors.numpy import save
from weightpatch.registry.bases import open_base
from weightpatch.registry.remotes.base import open_remote
from weightpatch.registry.remotes.errors import RemoteUnreachable
from weightpatch.registry.remotes.hub.asking import client as hub_client
from weightpatch.registry.remotes.hub.asking.client import client
from weightpatch.registry.remotes.hub.repository import uploading
from weightpatch.registry.remotes.proposals import Text
from weightpatch.registry.sharing.finding import search


@pytest.fixture
def limits():
    """The limits of each request that goes out by the Hub's client, a new one."""
    seen = []
    huggingface_hub.set_client_factory(default_client_factory)
    client()
    get_session().event_hooks["request"].append(
        lambda request: seen.append((request.method, request.url.path, request.extensions))
    )
    yield seen
    huggingface_hub.set_client_factory(default_client_factory)


def test_every_request_has_an_end(
    hub, hub_remote, bundle, into, tmp_path, limits, all_large, transfer
):
    hub.make("acme/pico").put({"config.json": b"{}", "model.safetensors": save({})})
    hub_remote.push(bundle(1))
    hub_remote.push(bundle(1, notes=(b"{}",)))
    hub_remote.push(bundle(2, seed=2))
    hub_remote.plan(bundle(3, seed=3))
    hub_remote.pull("acme/tongues", None, into)
    open_remote("hf://acme/tongues@main").versions("acme/tongues")
    (tmp_path / "at").mkdir()
    open_remote("hf://acme/tongues@main").pull("acme/tongues", None, tmp_path / "at")
    (tmp_path / "proposed").mkdir()
    proposed = hub_remote.propose(bundle(3, seed=3), Text("A title", "Words"))
    hub_remote.proposals("acme/tongues")
    found = hub_remote.proposal("acme/tongues", proposed.number, tmp_path / "proposed")
    hub_remote.accept("acme/tongues", proposed.number, as_bundle(found.patch))
    search("hf://")
    open_base("acme/pico")

    assert len(limits) > 60
    for method, path, extensions in limits:
        assert None not in extensions["timeout"].values(), (method, path)
        assert len(extensions["timeout"]) == 4
    by_xet = sum(path.startswith(("/v1/", "/v2/")) for _, path in hub.requests)
    small = sum("reconstructions" in path or "storage" in path for _, path in hub.requests)
    assert len(limits) >= len(hub.requests) - by_xet - small * (transfer == "xet")


@pytest.mark.parametrize("transfer", ["xet"])
@pytest.mark.parametrize("path", ["^/v1/xorbs/", "^/storage/"])
def test_a_mute_store_of_xet_is_not_waited_for(
    hub, hub_remote, bundle, into, waits, all_large, monkeypatch, path
):
    monkeypatch.setenv("HF_XET_CLIENT_READ_TIMEOUT", "200ms")
    hub.faults.append(Fault("POST GET", path, after=slow(2), times=None))

    def exchange():
        hub_remote.push(bundle())
        hub_remote.pull("acme/tongues", 1, into)

    with pytest.raises(RemoteUnreachable, match="broke off"):
        exchange()


@pytest.mark.parametrize("transfer", ["xet"])
def test_a_store_of_xet_that_does_not_confirm_is_not_waited_for(
    hub, hub_remote, bundle, waits, monkeypatch
):
    monkeypatch.setattr(uploading, "PATIENCE", 0.3)
    sent = bundle()
    hub.faults.append(Fault("POST", "^/v1/shards$", after=slow(3)))

    with pytest.raises(RemoteUnreachable, match="does not confirm") as caught:
        hub_remote.push(sent)
    assert caught.value.hint.startswith("repeat the command later")
    assert not hub["acme/tongues"].tags

    monkeypatch.setattr(uploading, "PATIENCE", 600)
    assert not hub_remote.push(sent).already_there


@pytest.mark.parametrize("transfer", ["lfs"])
def test_a_client_with_no_way_to_end_xet_pushes_all_the_same(hub, hub_remote, bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub.utils._xet", None)
    monkeypatch.delitem(sys.modules, uploading.__name__)

    hub_remote.push(bundle())

    assert hub["acme/tongues"].tags.keys() == {"v1"}


def test_a_hub_that_is_mute_about_a_branch_is_not_waited_for(
    hub, hub_remote, into, waits, limits, monkeypatch
):
    """Its client asks for that without any limit."""
    monkeypatch.setattr(hub_client, "SILENCE_SECONDS", 0.2)
    huggingface_hub.set_client_factory(default_client_factory)
    hub.make("acme/tongues")
    hub.faults.append(Fault("GET", "/revision/main$", after=slow(1), times=None))

    with pytest.raises(RemoteUnreachable, match="does not answer"):
        open_remote("hf://acme/tongues@main").pull("acme/tongues", None, into)
