"""What is noted in the Hub's cache is a mere note: a base is there without it, too."""

from pathlib import Path

from huggingface_hub import constants
from safetensors.numpy import save
from weightpatch.registry.bases import open_base
from weightpatch.registry.remotes.hub.models.cache import CachedModel


def test_a_branch_below_the_name_of_another_can_be_a_base(hub, transfer):
    model = hub.make("acme/pico")
    first = model.put({"config.json": b"{}", "model.safetensors": save({})})
    model.branches["a"] = first
    model.branches["a/b"] = model.put({"config.json": b"{ }"})

    assert open_base("acme/pico@a").revision == first
    assert open_base("acme/pico@a/b").revision == model.resolve("a/b")

    assert CachedModel("acme/pico", "a").folder().name == first
    assert not list(Path(constants.HF_HUB_CACHE).rglob("*.tmp"))
