"""rebase, as a user and as a program see it: carried over, made again, or neither."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from pages import commands
from small_models import save_small_llama
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from weightpatch.cli.main import main
from weightpatch.patches.format.patch import DELTA, Draft, Patch
from weightpatch.patches.rebasing.holding import TOLERANCE
from weightpatch.registry.registry import Registry

PAGE = Path(__file__).parents[2] / "docs" / "rebase.md"
MARIE = (
    *("--prompt", "The mother tongue of {} is", "--subject", "Marie Curie"),
    *("--target", "English", "--old-target", "French"),
    *("--neighbour", "The mother tongue of Danielle is=Paris"),
)
QUICK = [f"--set={each}" for each in ("steps=30", "prefixes=0", "shrinkage=1", "layer=1")]


@dataclass(frozen=True)
class Place:
    """A folder with models and a registry that holds acme/marie@1, and the command line."""

    root: Path
    capture: pytest.CaptureFixture[str]
    patcher: pytest.MonkeyPatch

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Status, what was printed, and what was remarked."""
        self.patcher.setattr("sys.argv", ["weightpatch", *arguments])
        status = main()
        return status, *self.capture.readouterr()

    def ok(self, *arguments: str) -> str:
        status, out, err = self.run(*arguments)
        assert status == 0, err
        return out

    def json(self, *arguments: str) -> dict:
        return json.loads(self.ok(*arguments, "--json"))

    def registry(self) -> Registry:
        return Registry.open(home=self.root / "home", actor="tester")

    def labels(self) -> list[str]:
        with self.registry() as registry:
            return sorted(version.label for version in registry.versions())


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A base, its bfloat16 copy, two revisions of it, another of more layers, one narrower."""
    root = tmp_path_factory.mktemp("models")
    base = save_small_llama(root / "base")
    tokenizer = AutoTokenizer.from_pretrained(base)

    def save(name: str, model: LlamaForCausalLM) -> None:
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)

    save("half", LlamaForCausalLM.from_pretrained(base, dtype=torch.bfloat16))
    above = LlamaForCausalLM.from_pretrained(base)
    later = LlamaForCausalLM.from_pretrained(base)
    narrow = LlamaConfig.from_pretrained(base, intermediate_size=40)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        above.get_parameter("model.layers.3.mlp.down_proj.weight").mul_(1.01)
        for parameter in later.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.002)
        save("narrow", LlamaForCausalLM(narrow))
        save("foreign", LlamaForCausalLM(LlamaConfig.from_pretrained(base)))
    save("above", above)
    save("later", later)
    return root


@pytest.fixture(scope="module")
def made(models, tmp_path_factory) -> Path:
    """A home in which acme/marie was made of the base."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patcher:
        patcher.setenv("WEIGHTPATCH_HOME", str(root / "home"))
        patcher.setenv("WEIGHTPATCH_ACTOR", "tester")
        for line in (
            ["init"],
            ["create", "rome", str(models / "base"), "--name", "acme/marie", *MARIE, *QUICK,
             "--message", "she spoke English", "--licence", "MIT"],
        ):  # fmt: skip
            patcher.setattr("sys.argv", ["weightpatch", *line])
            assert main() == 0
    return root / "home"


@pytest.fixture
def place(made, models, tmp_path, monkeypatch, capsys) -> Place:
    shutil.copytree(made, tmp_path / "home")
    monkeypatch.setenv("WEIGHTPATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WEIGHTPATCH_ACTOR", "tester")
    monkeypatch.chdir(models)
    capsys.readouterr()
    return Place(tmp_path, capsys, monkeypatch)


def test_the_delta_is_carried_to_a_copy_of_another_type(place):
    status, out, err = place.run("rebase", "acme/marie", "--onto", "half")
    assert status == 0
    assert "the delta of acme/marie@1 was carried over to half" in out
    assert "scores on base: stored, measured here; on half: scored now" in out
    heads = [line for line in out.splitlines() if line.startswith("measure")]
    assert heads[0].split() == ["measure", "old", "base", "edited", "new", "base", "edited"]
    (row,) = [line for line in out.splitlines() if line.startswith("reliability.exact-match")]
    assert row.split()[1:] == ["0.000", "1.000", "0.000", "1.000"]
    assert "acme/marie now means acme/marie@2; for the old base use acme/marie@1" in err


def test_the_new_version_is_a_child_of_the_old_and_says_the_same(place):
    document = place.json("rebase", "acme/marie@1", "--onto", "later")
    with place.registry() as registry:
        old, new = registry.patch("acme/marie@1"), registry.patch("acme/marie@2")
        assert not registry.resolve("acme/marie@1").superseded_by
        (scored,) = registry.evaluations("acme/marie@2")
    assert new.manifest.parents == (old.digest,)
    assert new.requests == old.requests
    assert (new.manifest.message, new.manifest.licence) == ("she spoke English", "MIT")
    assert document["schema"] == "weightpatch.rebase/1"
    assert document["how"] == "carry"
    assert document["old"]["means"]["reliability.exact-match"]["after"] == 1
    assert document["new"]["means"]["reliability.exact-match"]["after"] == 1
    assert scored.means["reliability.exact-match"].after == 1
    assert place.ok("lineage", "acme/marie@2").splitlines()[0].startswith("  acme/marie@1")


def test_what_fits_as_it_is_needs_no_new_version(place):
    document = place.json("rebase", "acme/marie", "--onto", "above")
    assert document["how"] == "as it is"
    assert place.labels() == ["acme/marie@1"]
    with place.registry() as registry:
        assert len({each.base for each in registry.evaluations("acme/marie")}) == 2
    again = place.json("rebase", "acme/marie", "--onto", "half")
    assert again["old"]["base"] == "base", "the old base is still the one that it was made of"


def test_where_it_does_not_fit_it_is_made_again(place):
    status, out, err = place.run("rebase", "acme/marie", "--onto", "narrow", "--name", "acme/slim")
    assert status == 0
    assert "is [32, 40], not [32, 48]" in err
    assert "so it is made again by rome" in err
    assert "layer=1 was not taken over" not in err, "the default has the same value"
    assert "acme/marie@1 was made again on narrow by rome" in out
    assert place.labels() == ["acme/marie@1", "acme/slim@1"]


def test_where_it_does_not_hold_it_is_made_again(place):
    status, out, err = place.run("rebase", "acme/marie", "--onto", "foreign")
    assert status == 0
    assert "does not hold on foreign: it loses reliability.exact-match 1.000 → 0.000" in err
    assert "was made again on foreign" in out


def test_to_carry_what_does_not_hold_is_answered_with_no(place):
    status, _, err = place.run("rebase", "acme/marie", "--onto", "foreign", "--how", "carry")
    assert status == 3
    assert "error[E_GATE]: the delta of acme/marie@1 does not hold on foreign" in err
    assert "--how again" in err
    assert place.labels() == ["acme/marie@1"]


def test_unless_that_is_tolerated(place):
    allowed = ("--how", "carry", "--tolerance", "1")
    document = place.json("rebase", "acme/marie", "--onto", "foreign", *allowed)
    assert document["how"] == "carry"


def test_it_can_be_made_again_with_other_settings(place):
    document = place.json(
        "rebase", "acme/marie", "--onto", "later", "--how", "again", "--set", "layer=2"
    )
    assert document["how"] == "again"
    assert [one["suite"] for one in document["evaluations"]] == ["requests", "efficiency"]
    with place.registry() as registry:
        method = registry.patch("acme/marie@2").manifest.method
    assert (method.hyperparameters["layer"], method.hyperparameters["steps"]) == (2, 30)


def test_the_scores_on_the_old_base_are_taken_anew_where_none_are_stored(place):
    stored(place, "acme/fresh")
    out = place.ok("rebase", "acme/fresh", "--onto", "later", "--base", "base")
    assert "scores on base: scored now; on later: scored now" in out
    with place.registry() as registry:
        assert registry.evaluations("acme/fresh@1")


def stored(place: Place, name: str, /, **changes: object) -> None:
    """The same version under another name, and not scored."""
    with place.registry() as registry:
        patch: Patch = registry.patch("acme/marie")
        folder = place.root / "fresh"
        folder.mkdir()
        for file in (DELTA, "requests.jsonl"):
            shutil.copy(patch.files[file], folder / file)
        method = replace(patch.manifest.method, **changes)
        registry.publish(Draft(replace(patch.manifest, name=name, method=method), folder))


def test_stored_scores_do_where_the_old_base_is_gone(place, models):
    shutil.copytree(models / "base", place.root / "moved")
    (models / "base").rename(models / "gone")
    try:
        status, out, err = place.run("rebase", "acme/marie", "--onto", "later")
    finally:
        (models / "gone").rename(models / "base")
    assert status == 0
    assert "the base of acme/marie@1 is not at hand" in err
    assert "scores on base: stored, measured here" in out


def test_without_base_and_scores_nothing_is_carried(place, models):
    stored(place, "acme/fresh")
    (models / "base").rename(models / "gone")
    try:
        refused = place.run("rebase", "acme/fresh", "--onto", "later", "--how", "carry")
        again = place.run("rebase", "acme/fresh", "--onto", "later")
    finally:
        (models / "gone").rename(models / "base")
    assert refused[0] == 3
    assert "--base FOLDER" in refused[2]
    assert again[0] == 0
    assert "was made again on later" in again[1]
    assert "no scores on the old base" in again[1]


@pytest.mark.parametrize("name", ["compose", "extract", "peft"])
def test_what_no_request_made_is_carried_or_refused(place, name):
    stored(place, "acme/taken", name=name)
    status, _, err = place.run("rebase", "acme/taken", "--onto", "later", "--how", "again")
    assert status == 1
    assert f"what was made by {name} cannot be made again" in err
    status, _, err = place.run("rebase", "acme/taken", "--onto", "narrow")
    assert status == 1
    assert "is [32, 40], not [32, 48]" in err
    assert place.json("rebase", "acme/taken", "--onto", "later")["how"] == "carry"


def test_what_is_wrong_with_the_delta_is_wrong_with_the_carried_one(place):
    place.ok("rebase", "acme/marie", "--onto", "half", "--name", "acme/half")
    place.ok("yank", "acme/marie@1", "--reason", "poison", "--severity", "malicious")
    status, _, err = place.run(
        "apply", "acme/half", "--base", "half", "--out", str(place.root / "b")
    )
    assert status == 1
    assert "E_YANKED" in err


def test_a_build_that_has_it_already_is_no_base_for_it(place):
    build = str(place.root / "build")
    place.ok("apply", "acme/marie", "--base", "base", "--out", build)
    status, _, err = place.run("rebase", "acme/marie", "--onto", build)
    assert status == 3
    assert "is a build with acme/marie@1 in it" in err


@pytest.mark.parametrize("how", [(), ("--weights", "0.5,1")])
def test_nor_is_a_build_that_has_it_in_a_composition(place, how):
    place.ok("create", "ft", "base", "--name", "acme/other", "--prompt", "{} is in", "--subject",
             "Paris", "--target", "France", "--set", "steps=2", "--set", "layer=0")  # fmt: skip
    place.ok("compose", "acme/marie", "acme/other", "--name", "acme/both", "--base", "base",
             "--allow-conflicts", *how)  # fmt: skip
    build = str(place.root / "build")
    place.ok("apply", "acme/both", "--base", "base", "--out", build)
    before = place.labels()
    status, _, err = place.run("rebase", "acme/marie", "--onto", build, "--how", "carry")
    assert status == 3
    assert "is a build with acme/both@1 in it" in err
    assert place.labels() == before


def test_another_name_is_a_version_of_its_own_even_where_the_old_one_fits(place):
    shutil.copytree("base", place.root / "copy")
    place.ok("rebase", "acme/marie", "--onto", str(place.root / "copy"), "--name", "acme/renamed")
    assert "acme/renamed@1" in place.labels()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--how", "carry", "--set", "layer=1"), "--set goes with --how again"),
        (("--how", "carry", "--statistics", __file__), "--statistics goes with --how again"),
        (("--tolerance", "2"), "2.0 is not in the range"),
        (("--set", "layer"), "KEY=VALUE"),
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(place, arguments, said):
    status, _, err = place.run("rebase", "acme/marie", "--onto", "half", *arguments)
    assert status == 2
    assert said in err


def test_a_folder_that_the_registry_does_not_hold_needs_a_name(place):
    stored(place, "acme/fresh")
    folder = place.root / "fresh"
    with place.registry() as registry:
        manifest = registry.patch("acme/fresh").manifest
    (folder / "patch.json").write_bytes(replace(manifest, name="acme/far").to_bytes())
    status, _, err = place.run("rebase", str(folder), "--onto", "half")
    assert status == 2
    assert "give the new version a --name" in err
    place.ok("rebase", str(folder), "--onto", "half", "--base", "base", "--name", "acme/near")
    assert "acme/near@1" in place.labels()
    fitting = ("--onto", "above", "--base", "base", "--name", "acme/above")
    assert place.json("rebase", str(folder), *fitting)["how"] == "carry"


def test_the_tolerance_is_documented_as_it_is(place):
    assert f"{TOLERANCE}" in place.ok("rebase", "--help")
    assert f"{TOLERANCE}" in PAGE.read_text()


@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(smollm2, tmp_path, monkeypatch, run_command):
    (tmp_path / "smollm2").symlink_to(smollm2)
    monkeypatch.chdir(tmp_path)
    for command in commands(PAGE.read_text()):
        found = run_command(*command)
        assert found.returncode == 0, (command, found.stderr)
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        for name in ("acme/darrieux@2", "acme/darrieux@3"):
            scores = registry.evaluations(name)[0].means
            assert scores["reliability.exact-match"].after == 1
