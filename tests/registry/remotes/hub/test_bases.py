"""A base from the Hub, whatever breaks: the very bytes of one commit, or an error that says why."""

import json
import os
import shutil
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants, hf_hub_download
from loopback_faults import DOWNLOAD, HANG_UP, Fault, corrupt, cut, short, with_headers
from loopback_messages import Reply
from safetensors.numpy import save
from weightpatch.patches.checkpoints.checkpoint import INDEX
from weightpatch.patches.digests import DigestCache
from weightpatch.patches.errors import CheckpointRefused, DigestMismatch, NoSpace
from weightpatch.registry.bases import open_base
from weightpatch.registry.remotes.errors import (
    RemoteBusy,
    RemoteDenied,
    RemoteNotFound,
    RemoteUnreachable,
)
from weightpatch.registry.remotes.hub.models import files as models

SHARDS = {
    "model-00001-of-00002.safetensors": {"a.weight": np.ones((2, 3), np.float32)},
    "model-00002-of-00002.safetensors": {"b.weight": np.zeros((3,), np.float32)},
}
FIRST, SECOND = SHARDS
CLOSED = Reply(429, b"", {"Retry-After": "3600"})
Usage = namedtuple("Usage", "total used free")

FAULTS = {
    "resolve 500": (Fault("GET", "/revision/main$", instead=Reply(500)), None),
    "resolve 500 for ever": (
        Fault("GET", "/revision/main$", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "resolve reset": (Fault("GET", "/revision/main$", instead=HANG_UP), None),
    "resolve 429 for an hour": (Fault("GET", "/revision/main$", instead=CLOSED), RemoteBusy),
    "tree cut": (Fault("GET", "/tree/", after=cut(20)), None),
    "tree 500 for ever": (
        Fault("GET", "/tree/", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "head 500": (Fault("HEAD", "/resolve/", instead=Reply(500)), None),
    "head 500 for ever": (
        Fault("HEAD", "/resolve/", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "head of another commit": (
        Fault("HEAD", "/resolve/", after=with_headers(X_Repo_Commit="f" * 40)),
        RemoteUnreachable,
    ),
    "index cut": (Fault("GET", f"/resolve/.*{INDEX}$", after=cut(5)), None),
    "config of wrong bytes": (Fault("GET", "/resolve/.*config.json$", after=corrupt), None),
    "download cut": (Fault("GET", DOWNLOAD, after=cut(20)), None),
    "download cut for ever": (
        Fault("GET", DOWNLOAD, after=cut(0), times=None),
        RemoteUnreachable,
    ),
    "download 500 for ever": (
        Fault("GET", DOWNLOAD, instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "download short": (Fault("GET", DOWNLOAD, after=short, times=None), RemoteUnreachable),
    "wrong byte": (Fault("GET", DOWNLOAD, after=corrupt), None),
    "wrong byte for ever": (Fault("GET", DOWNLOAD, after=corrupt, times=None), DigestMismatch),
}


@pytest.fixture
def model(hub):
    """A model in two shards, of which an older commit is all in the Hub's cache."""
    repository = hub.make("acme/big")
    weight_map = {name: shard for shard, tensors in SHARDS.items() for name in tensors}
    index = json.dumps({"weight_map": weight_map})
    old = {
        shard: {name: tensor + 7 for name, tensor in tensors.items()}
        for shard, tensors in SHARDS.items()
    }
    repository.put({"config.json": b'{"old": 1}', INDEX: index.encode(), **saved(old)})
    open_base("acme/big")
    new = {"config.json": b'{"model_type": "llama"}', INDEX: f"{index} ".encode()}
    repository.put({**new, **saved(SHARDS)})
    hub.requests.clear()
    return repository


@pytest.mark.parametrize("case", FAULTS)
def test_a_base_that_breaks_is_never_the_old_one(hub, model, waits, case):
    fault, error = FAULTS[case]
    broken = replace(fault)
    hub.faults.append(broken)

    if error is None:
        assert_new(open_base("acme/big"), model)
    else:
        with pytest.raises(error):
            open_base("acme/big")

    assert broken.was_hit
    broken.times = broken.hits
    assert_new(open_base("acme/big"), model)


def test_what_came_before_it_broke_off_is_not_fetched_again(hub, model, waits):
    hub.faults.append(Fault("GET", DOWNLOAD, instead=HANG_UP, skip=1, times=None))
    with pytest.raises(RemoteUnreachable):
        open_base("acme/big")
    hub.faults[0].times = hub.faults[0].hits
    hub.requests.clear()
    arrivals = []

    assert_new(open_base("acme/big", announce=arrivals.append), model)

    assert [arrival.files for arrival in arrivals] == [1]
    assert hub.asked("HEAD", "/resolve/") == 1
    assert hub.asked("HEAD", f"/{SECOND}$") == 1


def test_what_other_tools_left_half_is_completed(hub, model):
    head = model.branches["main"]
    hf_hub_download("acme/big", FIRST, revision=head)
    hub.requests.clear()

    assert_new(open_base("acme/big"), model)
    assert not hub.asked("HEAD", f"/{FIRST}$")


@pytest.mark.parametrize("name", [FIRST, "config.json"])
def test_what_was_damaged_in_the_cache_is_fetched_anew(hub, model, name, tmp_path):
    cache = DigestCache(tmp_path)
    base = open_base("acme/big", cache=cache)
    spoil(base.path / name)
    hub.requests.clear()

    assert_new(open_base("acme/big", cache=cache), model)

    assert hub.asked("HEAD", "/resolve/") == 1
    assert hub.asked("HEAD", f"/{name}$") == 1


def test_what_was_hashed_and_not_touched_since_is_not_hashed_again(
    hub, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(models, "SHOWN", 0)
    told = []

    def check():
        told.clear()
        base = open_base("acme/big", cache=DigestCache(tmp_path), progress=tell)
        for entry in tmp_path.rglob("*.json"):  # what is believed is older than a moment
            os.utime(entry, (time.time() + 3600,) * 2)
        return base

    def tell(phase, _done, total):
        if total and phase.startswith("check model-"):
            told.append(phase.removeprefix("check "))

    base = check()
    assert told == [FIRST, SECOND]
    check()
    assert told == []
    (base.path / SECOND).resolve().touch()
    check()
    assert told == [SECOND]


def test_a_file_that_is_too_short_in_the_cache_is_fetched_anew(hub, model):
    base = open_base("acme/big")
    (base.path / FIRST).resolve().write_bytes(b"half")
    arrivals = []

    assert_new(open_base("acme/big", announce=arrivals.append), model)
    assert [arrival.files for arrival in arrivals] == [1]


def test_a_revision_may_be_a_pull_request(hub, model):
    model.pulls["refs/pr/1"] = model.branches["main"]

    assert_new(open_base("acme/big@refs/pr/1"), model)
    assert hub.asked("GET", "/revision/refs/pr/1$") == 1


def test_a_gated_model_says_where_to_ask(hub, model, as_user):
    model.gated = "manual"
    as_user("hf_mallory")

    with pytest.raises(RemoteDenied, match="acme/big is gated") as caught:
        open_base("acme/big")
    assert f"{hub.url}/acme/big, then log in" in caught.value.hint


def test_a_private_model_is_not_shown_to_everybody(hub, model, as_user):
    model.private = True
    as_user("hf_mallory")

    with pytest.raises(RemoteNotFound, match="no repository acme/big, or does not show") as caught:
        open_base("acme/big")
    assert "hf auth login" in caught.value.hint


def test_a_token_that_nobody_has_is_refused(hub, model, as_user):
    as_user("hf_nobody")

    with pytest.raises(RemoteDenied, match="does not know who asks") as caught:
        open_base("acme/big")
    assert "hf auth login" in caught.value.hint
    assert "hf_nobody" not in f"{caught.value} {caught.value.why} {caught.value.hint}"


def test_a_base_for_which_there_is_no_room_is_not_begun(hub, model, monkeypatch):
    """Not even its configuration."""
    repository = hub.make("acme/new")
    repository.put({"config.json": b"{}", "model.safetensors": save(SHARDS[FIRST])})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 100, 100))

    with pytest.raises(NoSpace, match="acme/new needs 67,") as caught:
        open_base("acme/new")
    assert constants.HF_HUB_CACHE in caught.value.why
    assert "HF_HOME" in caught.value.hint
    assert not hub.asked("HEAD GET", "/resolve/")


def test_who_cannot_reach_the_hub_learns_of_the_copy(hub, model, waits):
    hub.faults.append(Fault("GET", "/revision/main$", instead=Reply(500), times=None))

    with pytest.raises(RemoteUnreachable) as caught:
        open_base("acme/big")
    assert "HF_HUB_OFFLINE=1" in caught.value.hint


@pytest.mark.parametrize("transfer", ["lfs"])
def test_an_index_without_end_is_not_fetched(hub):
    listed = {"type": "file", "path": INDEX, "oid": "0" * 40, "size": 1 << 40}
    hub.make("acme/big")
    hub.faults.append(Fault("GET", "/tree/", instead=Reply.json([listed])))

    with pytest.raises(CheckpointRefused, match="is larger than"):
        open_base("acme/big")
    assert not hub.asked("HEAD GET", "/resolve/")


def test_offline_the_copy_is_enough(hub, model, monkeypatch):
    open_base("acme/big")
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    assert_new(open_base("acme/big"), model)
    assert_new(open_base(f"acme/big@{model.branches['main']}"), model)
    assert not hub.requests


def test_offline_a_half_copy_is_said_to_be_one(hub, model, monkeypatch):
    base = open_base("acme/big")
    (base.path / SECOND).unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(RemoteUnreachable, match="only a part of acme/big@main") as caught:
        open_base("acme/big")
    assert SECOND in caught.value.why


def test_offline_what_was_never_fetched_is_said_to_be_missing(hub, monkeypatch):
    hub.make("acme/new")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(RemoteUnreachable, match="not in the Hub's cache") as caught:
        open_base("acme/new")
    assert "HF_HUB_OFFLINE" in caught.value.hint
    assert not hub.requests


@pytest.mark.parametrize("name", [FIRST, "config.json"])
def test_offline_a_damaged_copy_is_not_given(hub, model, monkeypatch, name):
    spoil(open_base("acme/big").path / name)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(DigestMismatch, match=f"{name} of acme/big@main was damaged"):
        open_base("acme/big")


def assert_new(base, model):
    assert base.revision == model.branches["main"]
    assert base.config == {"model_type": "llama"}
    for tensors in SHARDS.values():
        for name, tensor in tensors.items():
            assert np.array_equal(base.read(name), tensor)


def saved(shards):
    return {name: save(tensors) for name, tensors in shards.items()}


def spoil(link: Path) -> None:
    blob = link.resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
