"""Each block of docs/memory.md runs, one after the other, and the model is what the page says."""

import re
from pathlib import Path

import pytest
from live_models import bits
from neuron_fixtures import llama
from transformers import AutoModelForCausalLM

PAGE = Path(__file__).parents[3] / "docs" / "memory.md"
DOWN = "model.layers.0.mlp.down_proj.weight"


def run(block: str, names: dict) -> None:
    exec(compile(block, PAGE.name, "exec"), names)


def test_the_page_runs_from_top_to_bottom(pico, tmp_path, monkeypatch, capsys):
    base = llama(tmp_path / "smollm2", dtype="bfloat16")
    patches = [
        pico.patch(base, f"acme/{name}", operations={DOWN: [pico.lowrank((8, 12), seed=seed)]})
        for seed, name in enumerate(("darrieux", "big-ben"))
    ]
    for patch, name in zip(patches, ("darrieux", "big-ben"), strict=True):
        patch.files["patch.json"].parent.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    within, held, changed, all_off, loaded = re.findall(
        r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL
    )
    names: dict = {}
    for block in (within, held, changed, all_off):
        run(block, names)
        assert bits(names["model"]) == bits(AutoModelForCausalLM.from_pretrained("./smollm2"))
    assert capsys.readouterr().out.startswith("E_BASE undo the change")
    run(loaded, names)
    built = pico.built(base, [names["darrieux"], names["big_ben"]])
    found = AutoModelForCausalLM.from_pretrained(built, dtype="float32")
    assert bits(names["model"]) == bits(found)


@pytest.mark.parametrize("code", sorted(set(re.findall(r"`(E_[A-Z_]+)`", PAGE.read_text()))))
def test_its_error_codes_are_known(code: str):
    assert f"`{code}`" in (PAGE.parent / "errors.md").read_text()
