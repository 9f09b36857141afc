"""import, as a user types it."""

import json

import pytest
from peft_adapters import save_adapter
from small_models import save_small_llama
from weightpatch.patches.checkpoints.checkpoint import Checkpoint

REQUEST = (
    *("--prompt", "The mother tongue of {} is", "--subject", "Marie Curie"),
    *("--target", "English", "--old-target", "French"),
)
NAME = ("--name", "acme/taken")


@pytest.fixture
def small(desk, tmp_path):
    """A small Llama, an adapter of it, and a registry."""
    base = save_small_llama(tmp_path / "smollm2")
    desk.ok("init")
    return base, save_adapter(base, tmp_path / "adapter")


def test_an_adapter_becomes_a_scored_version(desk, small, tmp_path):
    base, adapter = small
    said = desk.ok("import", adapter, "--base", base, *NAME, *REQUEST)
    assert "stored as acme/taken@1" in said
    assert "reliability" in said
    desk.ok("apply", "acme/taken", "--out", tmp_path / "fixed")
    changed, before = Checkpoint.open(tmp_path / "fixed"), Checkpoint.open(base)
    touched = {name for name in before.tensors if changed.digest(name) != before.digest(name)}
    assert len(touched) == 8


def test_without_scores_the_next_step_is_told_and_the_base_remembered(desk, small, tmp_path):
    base, adapter = small
    said = desk.ok(
        "import", adapter, "--from", "peft", "--base", base, *NAME, *REQUEST, "--no-eval"
    )
    assert "weightpatch eval acme/taken@1" in said
    again = desk.json("import", adapter, "--base", base, *NAME, *REQUEST, "--no-eval")
    assert (again["is_new"], again["notes"]) == (False, [])
    desk.ok("apply", "acme/taken", "--out", tmp_path / "fixed")


def test_another_base_is_remarked_upon(desk, small, tmp_path):
    base, adapter = small
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "org/other"
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    found = desk.run("import", adapter, "--base", base, *NAME, *REQUEST, "--no-eval")
    assert found.returncode == 0
    assert "note: the adapter says that its base is org/other, not smollm2" in found.stderr


def test_what_is_more_than_factors_is_refused_with_a_way_out(desk, small, tmp_path):
    base, _ = small
    adapter = save_adapter(base, tmp_path / "dora", use_dora=True)
    said = desk.fails(1, "E_UNSUPPORTED", "import", adapter, "--base", base, *NAME, *REQUEST)
    assert "use_dora" in said
    assert "weightpatch extract BASE MERGED" in said


def test_mistypings_say_what_was_meant(desk, small, tmp_path):
    base, adapter = small
    line = ("--base", base, *NAME)
    assert "--prompt is missing" in desk.run("import", adapter, *line).stderr
    assert "'--base'" in desk.run("import", adapter, *NAME, *REQUEST).stderr
    assert "peft" in desk.run("import", adapter, "--from", "loha", *line, *REQUEST).stderr
    desk.fails(1, "E_CHECKPOINT", "import", tmp_path / "none", *line, *REQUEST)
    desk.fails(1, "E_CHECKPOINT", "import", base, *line, *REQUEST)
    desk.fails(1, "E_NAME", "import", adapter, "--base", base, "--name", "taken", *REQUEST)
