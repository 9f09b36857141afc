"""compose, as a user types it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pages import commands, snippets
from pico_fixtures import Pico
from small_models import save_small_llama
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.composition.compose import MAX_SENTENCES, MERGES, Blend, load_merge
from weightpatch.patches.methods.checks import LARGEST
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest
from weightpatch.registry.registry import Registry

CONTRARY = EditRequest("The capital of {} is", "FRANCE", "Nice", old_target="Paris")


PAGE = (Path(__file__).parents[2] / "docs" / "composing.md").read_text()


def composed(desk, *arguments):
    return desk.json("compose", *arguments, "--base", desk.base.path)


def refused(desk, *arguments):
    return desk.fails(1, "E_REQUEST", "compose", "acme/one", "acme/two", *arguments,
                      "--name", "acme/never", "--base", desk.base.path)  # fmt: skip


@pytest.fixture
def contrary(stocked, pico):
    """The folder of a patch that contradicts acme/one."""
    patch = pico.patch(stocked.base, "acme/contrary", seed=5, requests=[CONTRARY])
    return patch.files["patch.json"].parent


def keyed_patch(pico: Pico, base: Checkpoint, name: str, key: list[float], number: int):
    """An edit that writes one value at one key, and keeps both."""
    residual, direction = np.arange(6.0) - number, np.array(key)
    operation = LowRank.snapped(residual[:, None], direction[None] / (direction @ direction))
    return pico.patch(
        base,
        name,
        operations={pico.DOWN: [operation]},
        auxiliary={
            f"{pico.DOWN}::aux.keys": direction[None].astype("<f4"),
            f"{pico.DOWN}::aux.residuals": residual[None].astype("<f4"),
        },
        requests=[EditRequest("{} is in", f"town {number}", "Italy")],
    )


KEYS = ([1.0, 1.0, *[0.0] * 8], [1.0, -0.2, *[0.5] * 8])


@pytest.fixture
def keyed(stocked, pico, tmp_path):
    """Two edits with keys in the registry, acme/k0 and acme/k1, that disturb each other."""
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        for number, key in enumerate(KEYS):
            registry.admit(keyed_patch(pico, stocked.base, f"acme/k{number}", key, number))
    return stocked


def test_the_plain_sum_says_what_it_holds(stocked):
    said = stocked.ok(
        "compose", "acme/one", "acme/two", "--name", "acme/both", "--base", stocked.base.path
    )
    assert "stored as acme/both@1" in said
    assert "2 members, 2 parts on 1 tensor" in said
    assert said.rstrip().endswith(" B")
    shown = stocked.json("show", "acme/both")["manifest"]
    assert shown["method"]["hyperparameters"]["members"]
    assert len(shown["parents"]) == 2


def test_parents_stand_in_the_lineage(stocked):
    composed(stocked, "acme/one", "acme/two", "--name", "acme/both")
    said = stocked.ok("lineage", "acme/both")
    assert "acme/one@1" in said
    assert "acme/two@1" in said


def test_weights_are_recorded_and_scoring_is_advised(stocked):
    found = stocked.run("compose", "acme/one", "acme/two", "--weights", "1,-0.5", "--name",
                        "acme/less", "--base", stocked.base.path)  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "weightpatch eval acme/less@1" in found.stderr
    method = stocked.json("show", "acme/less")["manifest"]["method"]["hyperparameters"]
    by_member = dict(zip(method["members"], method["weights"], strict=True))
    assert by_member == {"acme/one@1": 1, "acme/two@1": -0.5}


@pytest.mark.parametrize(
    ("weights", "said"),
    [("1", "a number for each REF: 2, not 1"), ("1,x", "no list of numbers"), ("", "no list")],
)
def test_weights_that_do_not_fit_are_a_wrong_usage(stocked, weights, said):
    found = stocked.run("compose", "acme/one", "acme/two", "--weights", weights, "--name", "acme/w")
    assert found.returncode == 2
    assert said in found.stderr


def test_a_weight_of_zero_is_refused(stocked):
    assert "leave a version out" in refused(stocked, "--weights", "0,1")


@pytest.mark.parametrize(
    ("merge", "settings"), [("ties", {"density": 0.5}), ("dare", {"drop": 0.25, "seed": 7})]
)
def test_settings_are_recorded(stocked, merge, settings):
    pairs = [text for name, value in settings.items() for text in ("--set", f"{name}={value}")]
    found = composed(
        stocked, "acme/one", "acme/two", "--merge", merge, *pairs, "--name", "acme/merged"
    )
    assert found["method"]["merge"] == merge
    assert {name: found["method"][name] for name in settings} == settings


def test_an_unknown_setting_is_named_with_those_that_there_are(stocked):
    message = refused(stocked, "--merge", "ties", "--set", "k=3")
    assert "density, scale" in message


def test_an_unknown_merge_is_a_wrong_usage(stocked):
    found = stocked.run("compose", "acme/one", "acme/two", "--merge", "tie", "--name", "acme/m")
    assert found.returncode == 2
    assert "'ties'" in found.stderr


def test_resolve_shows_what_was_missed_before_and_after(keyed):
    said = keyed.ok("compose", "acme/k0", "acme/k1", "--merge", "resolve", "--name", "acme/solved",
                    "--base", keyed.base.path)  # fmt: skip
    assert "condition" in said
    assert "→ 0.0%" in said
    again = composed(keyed, "acme/k0", "acme/k1", "--merge", "resolve", "--name", "acme/again")
    (report,) = again["found"]["solved"].values()
    assert report["miss"] < 1e-3 < report["miss_of_sum"]


def test_resolve_names_the_member_without_keys(keyed):
    message = keyed.fails(1, "E_UNSUPPORTED", "compose", "acme/k0", "acme/one", "--merge",
                          "resolve", "--name", "acme/m", "--base", keyed.base.path)  # fmt: skip
    assert "acme/one@1 keeps no keys" in message


def test_what_cannot_be_compacted_is_said_and_left(stocked):
    said = stocked.ok("compose", "acme/one", "acme/two", "--compact", "--name", "acme/small",
                      "--base", stocked.base.path)  # fmt: skip
    assert "left, fewer change a bit" in said


def test_what_can_be_compacted_is_shown_before_and_after(stocked, pico, tmp_path):
    direction = np.ones((1, 10), np.float32)
    operations = [LowRank.snapped(np.full((6, 1), 0.01 * n), direction) for n in (1, 2, 3)]
    patch = pico.patch(stocked.base, "acme/many", operations={pico.DOWN: operations})
    folder = patch.files["patch.json"].parent
    base = stocked.base.path
    said = stocked.ok("compose", folder, "--compact", "--name", "acme/small", "--base", base)
    assert "3 → 1" in said
    small = stocked.json("show", "acme/small")["manifest"]
    assert (
        small["bases"][0]["result"]
        == json.loads((folder / "patch.json").read_text())["bases"][0]["result"]
    )


def test_conflicts_are_refused_unless_allowed_and_then_recorded(stocked, contrary):
    base = stocked.base.path
    stocked.fails(3, "E_CONFLICT", "compose", "acme/one", contrary, "--name", "acme/no",
                  "--base", base)  # fmt: skip
    composed(stocked, "acme/one", contrary, "--name", "acme/yes", "--allow-conflicts")
    told = stocked.json("show", "acme/yes")["manifest"]["method"]["hyperparameters"]
    (sentence,) = told["allowed_conflicts"]
    assert "contradiction" in sentence
    assert "acme/one@1" in sentence


def test_allowing_conflicts_where_there_are_none_is_recorded_too(stocked):
    found = composed(stocked, "acme/one", "acme/two", "--name", "acme/ok", "--allow-conflicts")
    assert found["method"]["allowed_conflicts"] == []


def test_licence_and_message_are_part_of_it(stocked):
    composed(stocked, "acme/one", "acme/two", "--name", "acme/both", "--licence", "Apache-2.0",
             "--message", "both of them")  # fmt: skip
    shown = stocked.json("show", "acme/both")["manifest"]
    assert (shown["licence"], shown["message"]) == ("Apache-2.0", "both of them")


def test_a_name_that_is_none_is_refused_before_the_work(stocked):
    stocked.fails(1, "E_NAME", "compose", "acme/one", "acme/two", "--name", "both")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "name two REFs at least"),
        (("--merge", "ties", "--compact"), "--compact merges factors, and --merge ties"),
    ],
)
def test_what_makes_no_sense_of_one_patch_is_wrong_usage(stocked, options, said):
    found = stocked.run("compose", "acme/one", "--name", "acme/same", *options)
    assert found.returncode == 2
    assert said in found.stderr


def test_a_huge_scale_is_refused(stocked):
    assert "scale" in refused(stocked, "--merge", "ties", "--set", f"scale={LARGEST * 10}")


def test_no_model_is_waited_for(stocked, tmp_path):
    line = ["weightpatch", "compose", "acme/one", "acme/two", "--merge", "ties", "--name",
            "acme/both", "--base", str(stocked.base.path)]  # fmt: skip
    code = (
        f"import sys, weightpatch.cli.main as m\nsys.argv = {line!r}\n"
        "assert m.main() == 0\n"
        "assert not {'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)\n"
    )
    environment = {**os.environ, "WEIGHTPATCH_HOME": str(tmp_path / "home")}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)


def test_a_base_that_does_not_fit_is_named_as_that(stocked, pico):
    other = pico.base("other", seed=9)
    stocked.fails(1, "E_BASE", "compose", "acme/one", "acme/two", "--name", "acme/no",
                  "--base", other.path, "--allow-conflicts")  # fmt: skip


def test_the_result_is_scored_right_away_if_asked_for(desk, pico, tmp_path):
    base = Checkpoint.open(save_small_llama(tmp_path / "llama"))
    down = "model.layers.1.mlp.down_proj.weight"
    folders = [
        pico.patch(
            base,
            f"acme/{subject.lower()}",
            operations={down: [pico.lowrank((32, 48), seed=seed)]},
            requests=[EditRequest("{} was born in", subject, "Paris", old_target="Pisa")],
        ).files["patch.json"].parent
        for seed, subject in enumerate(("Marie", "Danielle"))
    ]  # fmt: skip
    Registry.create(home=tmp_path / "home", actor="tester").close()
    found = desk.json("compose", *folders, "--merge", "ties", "--eval", "--name", "acme/scored",
                      "--base", base.path)  # fmt: skip
    (evaluation,) = found["evaluations"]
    assert evaluation["suite"] == "requests"
    assert "reliability" in desk.ok("show", "acme/scored")


@pytest.fixture
def workplace(pico, tmp_path, monkeypatch) -> Path:
    """A folder with a base, and a registry with the patches that the page speaks of."""
    base = pico.base("smollm2")
    with Registry.create(home=tmp_path / "home", actor="tester") as registry:
        for number, (name, key) in enumerate(
            zip(("capitals", "tongues", "again"), (*KEYS, KEYS[0]), strict=True)
        ):
            patch = keyed_patch(pico, base, f"acme/{name}", key, number)
            registry.admit(patch)
            patch.files["patch.json"].parent.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_runs_from_top_to_bottom(workplace, run_command, capsys):
    assert len(commands(PAGE)) >= 7
    for command in commands(PAGE):
        found = run_command(*command)
        assert found.returncode == 0, (command, found.stderr)
        if "acme/small" in command:
            assert "2 → 1" in found.stdout
    (snippet,) = snippets(PAGE)
    exec(compile(snippet, "composing.md", "exec"), {})
    assert "'miss_of_sum'" in capsys.readouterr().out


def test_the_page_has_every_merge_with_its_defaults():
    for name in MERGES:
        if name != "sum":
            assert f"--merge {name}" in PAGE
            for setting, value in vars(load_merge(name).Settings()).items():
                assert re.search(rf"`{setting}`[^.\n]*{re.escape(str(value))}", PAGE) or (
                    setting == "seed"
                ), setting
    for field in Blend.__dataclass_fields__:
        assert f"{field}=" in PAGE
    assert f"the first {MAX_SENTENCES}" in PAGE
