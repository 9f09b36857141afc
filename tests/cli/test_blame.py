"""blame, as a user and as a program read it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from neuron_fixtures import llama, neurons
from weightpatch.patches.operations.sparse import Sparse


@pytest.fixture
def build(stocked, tmp_path):
    out = tmp_path / "fixed"
    stocked.ok("apply", "acme/one", "acme/two", "--base", stocked.base.path, "--out", out)
    return out


def test_each_change_is_a_line_with_its_version(stocked, pico, build):
    page = stocked.ok("blame", build)
    lines = [line.split() for line in page.splitlines() if line.startswith(pico.DOWN)]
    assert sorted(line[1] for line in lines) == ["acme/one@1", "acme/two@1"]
    assert all(line[2:5] == ["lowrank", "rank", "1"] for line in lines)
    assert f"weightpatch verify {build}" in page


def test_who_made_a_version_is_told_if_the_registry_holds_it(stocked, build):
    page = stocked.ok("blame", build)
    assert "ada" in page
    assert "2026-01-31" in page
    assert {version["author"] for version in stocked.json("blame", build)["versions"]} == {"ada"}


def test_a_build_explains_itself_without_a_registry(desk, tmp_path):
    patch = desk.exchange / "acme" / "one" / "v1"
    desk.ok("apply", patch, "--base", desk.base.path, "--out", tmp_path / "fixed")
    page = desk.ok("blame", tmp_path / "fixed")
    assert "acme/one@1" in page
    assert "author" not in page
    assert not (tmp_path / "home" / "registry.db").exists()


def test_a_registry_that_does_not_open_is_no_reason_to_be_silent(stocked, build, tmp_path):
    (tmp_path / "home" / "registry.db").write_bytes(b"not a database" * 100)
    found = stocked.run("blame", build)
    assert found.returncode == 0
    assert "acme/one@1" in found.stdout
    assert "note: who made the versions is not known" in found.stderr


def test_a_version_that_the_registry_lacks_stands_beside_one_that_it_holds(stocked, pico, tmp_path):
    folder = pico.patch(stocked.base, "acme/three", seed=9).files["patch.json"].parent
    out = tmp_path / "fixed"
    stocked.ok("apply", "acme/one", folder, "--base", stocked.base.path, "--out", out,
               "--allow-conflicts")  # fmt: skip
    versions = {one["label"]: one for one in stocked.json("blame", out)["versions"]}
    assert versions["acme/one@1"]["author"] == "ada"
    assert versions["acme/three@1"]["author"] is None
    assert "acme/three@1" in stocked.ok("blame", out)


def test_one_tensor_alone(stocked, pico, build):
    page = stocked.ok("blame", build, pico.DOWN)
    assert "BF16 [6, 10]" in page
    assert stocked.base.digest(pico.DOWN)[:12] in page
    document = stocked.json("blame", build, pico.DOWN)
    assert document["schema"] == "weightpatch.blame/1"
    assert document["asked"] == pico.DOWN
    (tensor,) = document["tensors"]
    assert tensor["base"]["sha256"] == stocked.base.digest(pico.DOWN)
    assert {one["version"] for one in tensor["operations"]} == {"acme/one@1", "acme/two@1"}


def test_an_untouched_tensor_is_an_answer_and_an_unknown_one_an_error(stocked, pico, build):
    assert f"no patch touched '{pico.NORM}'" in stocked.ok("blame", build, pico.NORM)
    assert stocked.json("blame", build, pico.NORM)["tensors"] == []
    message = stocked.fails(1, "E_CHECKPOINT", "blame", build, "model.layers.0.mlp.down.weight")
    assert f"did you mean '{pico.DOWN}'" in message


def test_a_mistyped_tied_name_is_guessed(stocked, build):
    message = stocked.fails(1, "E_CHECKPOINT", "blame", build, "lm_head.wight")
    assert "did you mean 'lm_head.weight'" in message


@pytest.mark.parametrize("name", ["model.layers.0", "model.layers.0.", "model"])
def test_the_beginning_of_a_name_is_said_to_be_one(stocked, build, name):
    message = stocked.fails(1, "E_CHECKPOINT", "blame", build, name)
    assert "tensors begin with it" in message
    assert "next: name one tensor, as in 'model." in message


def test_a_tied_name_is_told_to_be_the_stored_one(stocked, pico, build):
    page = stocked.ok("blame", build, "lm_head.weight")
    assert f"'lm_head.weight' is stored as '{pico.EMBEDDING}'" in page
    assert f"no patch touched '{pico.EMBEDDING}'" in page


def test_padded_layers_are_said_to_be_so(desk, pico, tmp_path):
    base = llama(tmp_path / "llama")
    patch = pico.patch(base, "acme/wide", operations=neurons(base, 1, 2))
    desk.ok("apply", patch.files["patch.json"].parent, "--base", base.path,
            "--out", tmp_path / "wide")  # fmt: skip
    lines = desk.ok("blame", tmp_path / "wide").splitlines()
    padded = [line for line in lines if line.startswith("model.layers.0.")]
    assert len(padded) == 3
    assert all("zeros 2 neurons" in line for line in padded)
    assert any(line.startswith("zeros: ") for line in lines)
    page = desk.ok("blame", tmp_path / "wide", "model.layers.0.mlp.up_proj.weight")
    assert "[12, 8] → F32 [14, 8]" in page


def test_a_folder_that_is_no_build_is_refused(desk):
    desk.fails(1, "E_CHECKPOINT", "blame", desk.base.path)


def test_a_name_from_outside_cannot_drive_the_terminal(desk, pico, tmp_path):
    tensors = pico.tensors()
    hostile = "a\x1b[2J\nok  all is well"
    base = pico.base_of({**tensors, hostile: tensors[pico.NORM]}, "hostile")
    values = Sparse.read({"indices": np.array([1]), "values": np.ones(1, np.float32)}, (6, 10))
    patch = pico.patch(base, "acme/sparse", operations={pico.DOWN: [values]})
    out = tmp_path / "fixed"
    desk.ok("apply", patch.files["patch.json"].parent, "--base", base.path, "--out", out)
    for arguments in ([], [hostile], [hostile[:-1]]):
        found = desk.run("blame", out, *arguments)
        assert "\x1b" not in found.stdout + found.stderr
        assert not any(line.strip().startswith("ok ") for line in found.stdout.splitlines())


def test_blame_needs_no_torch(desk, tmp_path):
    patch = desk.exchange / "acme" / "one" / "v1"
    desk.ok("apply", patch, "--base", desk.base.path, "--out", tmp_path / "fixed")
    code = (
        "import sys, weightpatch.cli.main as m\n"
        f"sys.argv = ['weightpatch', 'blame', {str(tmp_path / 'fixed')!r}]\n"
        "assert m.main() == 0\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_in_a_narrow_terminal_no_line_is_wider(stocked, build, tmp_path):
    code = (
        "import sys, weightpatch.cli.main as m\n"
        "sys.stdout.isatty = lambda: True\n"
        f"sys.argv = ['weightpatch', 'blame', {build.name!r}]\n"
        "m.main()\n"
    )
    home = {"WEIGHTPATCH_HOME": str(tmp_path / "home"), "COLUMNS": "60"}
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                           cwd=build.parent, env={**os.environ, **home})  # fmt: skip
    lines = found.stdout.splitlines()
    assert "model.layers.0.mlp.down_proj.weight" in lines
    assert "author   ada" in lines
    assert max(map(len, lines[3:])) <= 60  # above stands a sentence
