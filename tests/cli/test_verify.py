"""verify: all that differs, as far as it fits a page, and what is no build at all."""

import json
import shutil

import pytest
from weightpatch.cli.app import App
from weightpatch.cli.commands.verify import _show_checked
from weightpatch.cli.output import Output
from weightpatch.patches.builds.record import BuildRecord
from weightpatch.patches.builds.verify import Mismatch
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.format.manifest import TensorRecord


@pytest.mark.parametrize("place", ["./base", "base/../base", "{}/base"])
def test_verify_of_a_model_says_what_it_is_not(stocked, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    message = stocked.fails(1, "E_CHECKPOINT", "verify", place.format(tmp_path))
    assert "neither a build nor a patch" in message
    assert "weightpatch.json" in message
    assert "patch.json" in message
    assert "next: " in message


def test_verify_of_a_model_whose_path_looks_like_a_name(stocked, tmp_path, monkeypatch):
    shutil.copytree(stocked.base.path, tmp_path / "models" / "plain")
    monkeypatch.chdir(tmp_path)
    assert "neither" in stocked.fails(1, "E_CHECKPOINT", "verify", "models/plain")


def test_verify_of_a_folder_that_is_not_there_is_no_answer(stocked, tmp_path):
    stocked.fails(1, "E_PATH", "verify", tmp_path / "nothing")


def flip(folder, *tensors):
    """Flip a bit of some tensors of a build."""
    weights = bytearray((folder / "model.safetensors").read_bytes())
    for name in tensors:
        weights[Checkpoint.open(folder).tensors[name].start] ^= 1
    (folder / "model.safetensors").write_bytes(weights)


def test_verify_lists_all_that_differs(stocked, pico, tmp_path):
    out = tmp_path / "fixed"
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", out)
    flip(out, pico.DOWN, pico.NORM, pico.UP)
    found = stocked.run("verify", out, "--full", "--base", stocked.base.path)
    assert found.returncode == 3
    lines = [line.split()[1] for line in found.stdout.splitlines() if line.startswith("DIFFERS ")]
    assert sorted(lines) == sorted([pico.DOWN, pico.NORM, pico.UP])
    assert f"{pico.DOWN} in" in found.stderr


def test_verify_lists_at_most_twenty(stocked, pico, tmp_path):
    names = [f"extra.{number:02d}" for number in range(30)]
    tensors = pico.tensors()
    base = pico.base_of({**tensors, **dict.fromkeys(names, tensors[pico.NORM])}, "many")
    folder = pico.patch(base, "acme/many").files["patch.json"].parent
    out = tmp_path / "fixed"
    stocked.ok("apply", folder, "--base", base.path, "--out", out)
    flip(out, *names)
    lines = stocked.run("verify", out, "--base", base.path).stdout.splitlines()
    assert sum(line.startswith("DIFFERS ") for line in lines) == 20
    assert "… and 10 more that differ" in lines
    found = stocked.run("verify", out, "--base", base.path, "--json")
    assert len(json.loads(found.stdout)["mismatches"]) == 30


def test_verify_lists_what_the_builds_below_changed(stocked, pico, listed, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    stocked.ok("apply", listed, "--base", stocked.base.path, "--out", first)
    rows, columns = Checkpoint.open(first).tensors[pico.UP].shape
    on_build = pico.patch(
        Checkpoint.open(first), "acme/on", operations={pico.UP: [pico.sparse((rows, columns))]}
    )
    stocked.ok("apply", on_build.files["patch.json"].parent, "--base", first, "--out", second,
               "--allow-conflicts")  # fmt: skip
    page = stocked.ok("verify", second)
    assert f"ok      {pico.NORM}" in page
    assert f"ok      {pico.UP}" in page


def test_verify_of_many_tensors_takes_no_longer_than_they_are_many():
    class Counted(dict):
        looked = 0

        def __contains__(self, name):
            Counted.looked += 1
            return super().__contains__(name)

    tensors = {str(number): TensorRecord("F32", (1,), "0" * 64) for number in range(1000)}
    record = BuildRecord("b", None, tensors, tensors, [], {}, {})
    wrong = Counted({name: Mismatch(name, "a", "b") for name in tensors})
    _show_checked(App(None, Output(as_json=True)), record, wrong)
    assert Counted.looked == len(tensors)
