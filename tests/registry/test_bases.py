"""A base by folder or by Hub id: pinned to a commit, and only what is needed.

What breaks on the way, and what works offline, is in remotes/hub/test_bases.py.
"""

import json

import numpy as np
import pytest
from safetensors.numpy import save, save_file
from weightpatch.patches.checkpoints.checkpoint import INDEX
from weightpatch.patches.digests import DigestCache
from weightpatch.patches.errors import CheckpointRefused, PathRefused
from weightpatch.registry.bases import open_base
from weightpatch.registry.remotes.errors import RemoteNotFound

WEIGHTS = {"a.weight": np.ones((2, 3), np.float32), "b.weight": np.zeros((3,), np.float32)}
CONFIG = b'{"model_type": "llama"}'


@pytest.fixture
def pico(hub):
    """A model on the hub with more beside it than anybody needs."""
    repository = hub.make("acme/pico")
    repository.put(
        {
            "config.json": CONFIG,
            "tokenizer.json": b"{}",
            "model.safetensors": save(WEIGHTS),
            "pytorch_model.bin": b"pickle",
            "modeling_evil.py": b"import os",
            "onnx/model.onnx": b"onnx",
            "README.md": b"# pico",
        }
    )
    return repository


def test_a_folder_goes_first(tmp_path, monkeypatch):
    (tmp_path / "acme" / "pico").mkdir(parents=True)
    save_file(WEIGHTS, tmp_path / "acme" / "pico" / "model.safetensors")
    monkeypatch.chdir(tmp_path)

    base = open_base("acme/pico")

    assert base.path.resolve() == tmp_path / "acme" / "pico"
    assert (base.id, base.revision) == ("pico", None)


def test_a_hub_id_gives_the_commit_that_it_stands_for(hub, pico, tmp_path):
    base = open_base("acme/pico", cache=DigestCache(tmp_path))

    assert (base.id, base.revision) == ("acme/pico", pico.branches["main"])
    assert np.array_equal(base.read("a.weight"), WEIGHTS["a.weight"])
    assert base.config == json.loads(CONFIG)
    assert base.tokenizer_digest is not None
    assert {path.name for path in base.path.iterdir()} == {
        "config.json",
        "tokenizer.json",
        "model.safetensors",
    }
    assert not hub.asked("GET", "evil|pytorch|onnx")


def test_what_is_in_the_cache_is_not_downloaded_again(hub, pico):
    open_base("acme/pico")
    hub.requests.clear()

    open_base("acme/pico")
    open_base(f"acme/pico@{pico.branches['main']}")

    assert not hub.asked("GET", "/resolve/|/storage/")
    assert hub.asked("GET", "/revision/main") == 1


def test_a_branch_that_moved_gives_the_new_commit(hub, pico):
    old = open_base("acme/pico")
    pico.put({"model.safetensors": save({**WEIGHTS, "a.weight": np.zeros((2, 3), np.float32)})})

    new = open_base("acme/pico")
    same = open_base(f"acme/pico@{old.revision}")

    assert new.revision == pico.branches["main"] != old.revision
    assert same.digests() == old.digests() != new.digests()


def test_shards_are_fetched_by_their_names(hub):
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    weight_map = dict(zip(WEIGHTS, names, strict=True))
    shards = {name: save({key: WEIGHTS[key]}) for key, name in weight_map.items()}
    files = {**shards, "model-extra.safetensors": b"no", "config.json": CONFIG}
    hub.make("acme/big").put({**files, INDEX: json.dumps({"weight_map": weight_map}).encode()})

    base = open_base("acme/big")

    assert set(base.digests()) == set(WEIGHTS)
    assert not hub.asked("GET", r"model-extra\.safetensors$")


def test_a_single_file_goes_before_an_index(hub, pico):
    """As it does in a folder, and in transformers."""
    pico.put({INDEX: b'{"weight_map": {"a.weight": "other.safetensors"}}'})

    assert set(open_base("acme/pico").digests()) == set(WEIGHTS)
    assert not hub.asked("GET", r"index\.json$")


@pytest.mark.parametrize("shard", ["../../evil.safetensors", "absent.safetensors", "config.json"])
def test_an_index_that_leads_elsewhere_is_refused(hub, shard):
    index = json.dumps({"weight_map": {"a.weight": shard}}).encode()
    hub.make("acme/big").put({INDEX: index, "config.json": CONFIG})

    with pytest.raises(CheckpointRefused, match="names the shard"):
        open_base("acme/big")


@pytest.mark.parametrize("index", [b"[", b"[]", b'{"weight_map": 1}'])
def test_an_index_that_is_none_is_refused(hub, index):
    hub.make("acme/big").put({INDEX: index})

    with pytest.raises(CheckpointRefused):
        open_base("acme/big")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"pytorch_model.bin": b"pickle", "config.json": b"{}"}, "pickle files only"),
        ({"config.json": b"{}"}, "holds no checkpoint"),
        ({}, "holds no checkpoint"),
    ],
)
def test_a_model_without_safetensors_is_refused(hub, files, message):
    hub.make("acme/old").put(files)

    with pytest.raises(CheckpointRefused, match=message):
        open_base("acme/old")
    assert not hub.asked("GET", "/resolve/")


def test_a_model_that_is_not_there_is_not_found(hub):
    with pytest.raises(RemoteNotFound, match="acme/typo"):
        open_base("acme/typo@main")


def test_a_revision_that_is_not_there_is_not_found(hub, pico):
    with pytest.raises(RemoteNotFound, match="acme/pico@typo has no such revision"):
        open_base("acme/pico@typo")


@pytest.mark.parametrize(
    "spec", ["./absent", "/absent/model", "a/b/c", "acme/pico@", "acme/pico@../x", "a--b/c"]
)
def test_what_is_neither_folder_nor_model_is_refused(spec):
    with pytest.raises(CheckpointRefused, match="neither a folder nor a model"):
        open_base(spec)


def test_what_is_to_come_is_said_before_and_counted(hub, pico):
    told = []

    open_base("acme/pico", announce=told.append, progress=lambda *step: told.append(step))
    open_base("acme/pico", announce=told.append)

    arrival, *steps = told
    size = len(save(WEIGHTS)) + len(CONFIG) + len(b"{}")
    assert (arrival.model, arrival.files, arrival.size) == ("acme/pico", 3, size)
    assert arrival.commit == pico.branches["main"]
    assert steps[-1] == ("download acme/pico", size, size)
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)


def test_an_unknown_persons_home_is_refused():
    with pytest.raises(PathRefused, match="nosuch"):
        open_base("~nosuch-person/model")
