"""export, as a user types it, and the page that shows it."""

from pathlib import Path

import pytest
import torch
from pages import commands, snippets
from peft_adapters import save_adapter
from safetensors.torch import load_file
from small_models import save_small_llama
from transformers import AutoModelForCausalLM
from weightpatch.patches.checkpoints.checkpoint import Checkpoint

DOWN = "model.layers.0.mlp.down_proj.weight"
REQUEST = ("--prompt", "The mother tongue of {} is", "--subject", "Danielle", "--target", "English")
PAGE = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text()


@pytest.fixture
def version(stocked):
    """The folder of a version whose base is the desk's."""
    return stocked.exchange / "acme" / "one" / "v1"


@pytest.fixture
def small(desk, tmp_path):
    """A small Llama, and a version taken in from an adapter of it."""
    base = save_small_llama(tmp_path / "smollm2")
    adapter = save_adapter(base, tmp_path / "adapter")
    desk.ok("init")
    desk.ok("import", adapter, "--base", base, "--name", "acme/taken", *REQUEST, "--no-eval")
    return base


def test_touched_tensors_are_those_of_a_build(stocked, tmp_path):
    base = stocked.base.path
    said = stocked.ok("export", "acme/one", "--to", "safetensors", "--base", base,
                      "--out", tmp_path / "touched.safetensors")  # fmt: skip
    assert "1 tensor of base with acme/one@1" in said
    assert "every digest is the promised one" in said
    stocked.ok("apply", "acme/one", "--out", tmp_path / "build")
    build = load_file(tmp_path / "build" / "model.safetensors")
    touched = load_file(tmp_path / "touched.safetensors")
    assert list(touched) == [DOWN]
    assert torch.equal(touched[DOWN], build[DOWN])


def test_a_full_file_and_json(stocked, tmp_path):
    found = stocked.json("export", "acme/one", "--to", "safetensors", "--full", "--base",
                         stocked.base.path, "--out", tmp_path / "full.safetensors")  # fmt: skip
    assert sorted(found["tensors"]) == sorted(stocked.base.tensors)
    assert list(found["result"]) == [DOWN]
    assert found["to"] == "safetensors"


def test_an_adapter_goes_out_and_comes_back_as_the_same_weights(desk, small, tmp_path):
    said = desk.ok("export", "acme/taken", "--to", "peft", "--out", tmp_path / "out")
    assert "acme/taken@1 as a PEFT adapter of 8 modules, rank 2" in said
    again = ("--base", small, "--name", "acme/again", *REQUEST, "--no-eval")
    desk.ok("import", tmp_path / "out", *again)
    for name in ("taken", "again"):
        desk.ok("apply", f"acme/{name}", "--out", tmp_path / name)
    taken, back = (Checkpoint.open(tmp_path / name).digests() for name in ("taken", "again"))
    assert taken == back != Checkpoint.open(small).digests()


def test_a_state_dict_fits_the_live_model(desk, small, tmp_path):
    out = tmp_path / "state.safetensors"
    desk.ok("export", "acme/taken", "--to", "state-dict", "--out", out)
    model = AutoModelForCausalLM.from_pretrained(small, dtype="auto")
    assert not model.load_state_dict(load_file(out), strict=False).unexpected_keys


def test_what_no_adapter_can_hold_is_a_clear_no(stocked, listed, tmp_path):
    said = stocked.fails(1, "E_UNSUPPORTED", "export", listed, "--to", "peft", "--base",
                         stocked.base.path, "--out", tmp_path / "out")  # fmt: skip
    assert "up_proj.weight by `sparse`" in said
    assert not (tmp_path / "out").exists()


def test_mistypings_and_what_is_there(stocked, version, tmp_path):
    line = ("export", version, "--base", stocked.base.path)
    out = tmp_path / "file.safetensors"
    assert "state-dict" in stocked.run(*line, "--to", "gguf", "--out", out).stderr
    assert "--full goes with" in stocked.run(*line, "--to", "peft", "--full", "--out", out).stderr
    stocked.ok(*line, "--to", "safetensors", "--full", "--out", out)
    stocked.fails(1, "E_EXISTS", *line, "--to", "safetensors", "--out", out)
    stocked.ok(*line, "--to", "safetensors", "--out", out, "--force")
    assert list(load_file(out)) == [DOWN]


def test_base_patch_and_registry_are_not_written_over(stocked, version, tmp_path):
    line = ("export", version, "--base", stocked.base.path, "--to", "safetensors", "--force")
    stocked.fails(1, "E_PATH", *line, "--out", stocked.base.path / "config.json")
    stocked.fails(1, "E_PATH", *line, "--out", version / "new.safetensors")
    stocked.fails(1, "E_EXISTS", *line, "--out", tmp_path / "home" / "registry.db")
    assert "acme/one" in stocked.ok("list")


def test_the_page_runs_from_top_to_bottom(desk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = save_small_llama(tmp_path / "smollm2")
    save_adapter(base, tmp_path / "adapter")
    desk.ok("init")
    text = PAGE.replace("Danielle Darrieux", "Marie Curie")
    for command in commands(text):
        desk.ok(*command)
    names: dict = {}
    for snippet in snippets(text):
        exec(compile(snippet, "exchange.md", "exec"), names)
    assert names["model"].training is False
