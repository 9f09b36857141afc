"""check, compose, apply, verify, revert, as a user types them."""

import os
import shutil
import subprocess
import sys

import pytest
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.requests import EditRequest
from weightpatch.registry.registry import Registry

CONTRARY = EditRequest("The capital of {} is", "FRANCE", "Nice", old_target="Paris")

LATER = EditRequest("The river of {} is", "Paris", "Loire", old_target="Seine")


def folders(place):
    return sorted(entry.name for entry in place.iterdir())


def test_apply_verify_and_revert(stocked, tmp_path):
    base, out = stocked.base.path, tmp_path / "fixed"
    stocked.ok("apply", "acme/one", "acme/two", "--base", base, "--out", out)
    assert "as recorded" in stocked.ok("verify", out)
    stocked.ok("revert", out, "--base", base)
    for file in base.iterdir():
        assert (out / file.name).read_bytes() == file.read_bytes()
    assert folders(out) == folders(base)


def test_the_order_of_references_does_not_matter(stocked, tmp_path):
    for out, references in (("ab", ["acme/one", "acme/two"]), ("ba", ["acme/two", "acme/one"])):
        stocked.ok("apply", *references, "--base", stocked.base.path, "--out", tmp_path / out)
    for file in (tmp_path / "ab").iterdir():
        assert (tmp_path / "ba" / file.name).read_bytes() == file.read_bytes()


def test_a_composition_is_its_members(stocked, tmp_path):
    base = stocked.base.path
    stocked.ok("compose", "acme/one", "acme/two", "--name", "acme/both", "--base", base)
    together = stocked.json(
        "apply", "acme/one", "acme/two", "--base", base, "--out", tmp_path / "together"
    )
    composed = stocked.json("apply", "acme/both", "--base", base, "--out", tmp_path / "composed")
    assert together["result"] == composed["result"]


def test_check_finds_nothing_grave_between_unrelated_patches(stocked):
    findings = stocked.json("check", "acme/one", "acme/two")["findings"]
    assert [finding["severity"] for finding in findings if finding["level"] == "facts"] == []


def test_a_contradiction_is_refused_by_check_compose_and_apply(stocked, pico, tmp_path):
    base = stocked.base.path
    contrary = (
        pico.patch(stocked.base, "acme/contrary", seed=5, requests=[CONTRARY])
        .files["patch.json"]
        .parent
    )
    message = stocked.fails(3, "E_CONFLICT", "check", "acme/one", contrary)
    assert "contradiction" in message
    stocked.fails(3, "E_CONFLICT", "apply", "acme/one", contrary, "--base", base,
                  "--out", tmp_path / "never")  # fmt: skip
    assert not (tmp_path / "never").exists()
    stocked.ok("apply", "acme/one", contrary, "--base", base, "--out", tmp_path / "forced",
               "--allow-conflicts")  # fmt: skip


def test_verify_notices_a_flipped_bit_in_a_build(stocked, tmp_path):
    out = tmp_path / "fixed"
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", out)
    weights = bytearray((out / "model.safetensors").read_bytes())
    start = stocked.base.tensors["model.layers.0.mlp.down_proj.weight"].start
    weights[start] ^= 1
    (out / "model.safetensors").write_bytes(weights)
    stocked.fails(3, "E_VERIFY", "verify", out)


@pytest.mark.parametrize("file", ["delta.safetensors", "patch.json", "requests.jsonl"])
def test_one_flipped_bit_in_a_patch_is_refused_and_leaves_nothing(desk, tmp_path, file):
    broken = tmp_path / "broken"
    shutil.copytree(desk.exchange / "acme" / "one" / "v1", broken)
    data = bytearray((broken / file).read_bytes())
    data[len(data) // 2] ^= 1
    (broken / file).write_bytes(data)
    before = folders(tmp_path)
    code = "E_MANIFEST" if file == "patch.json" else "E_DIGEST"
    found = desk.run("apply", broken, "--base", desk.base.path, "--out", tmp_path / "never")
    assert found.returncode == 1
    assert code in found.stderr or file == "patch.json"
    assert folders(tmp_path) == before


def test_another_base_is_refused_and_leaves_nothing(stocked, pico, tmp_path):
    other = pico.base("other", seed=9)
    before = folders(tmp_path)
    stocked.fails(1, "E_BASE", "apply", "acme/one", "--base", other.path, "--out", tmp_path / "no")
    assert folders(tmp_path) == before


def test_a_folder_that_exists_is_not_touched(stocked, tmp_path):
    (tmp_path / "mine").mkdir()
    stocked.fails(
        1, "E_EXISTS", "apply", "acme/one", "--base", stocked.base.path, "--out", tmp_path / "mine"
    )
    assert folders(tmp_path / "mine") == []


def test_apply_needs_no_registry_for_a_folder(desk, tmp_path):
    patch = desk.exchange / "acme" / "one" / "v1"
    desk.ok("apply", patch, "--base", desk.base.path, "--out", tmp_path / "fixed")
    assert not (tmp_path / "home").exists() or not (tmp_path / "home" / "registry.db").exists()


def test_verify_against_the_base_sees_the_tensors_that_no_patch_touched(stocked, tmp_path):
    out = tmp_path / "fixed"
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", out)
    weights = bytearray((out / "model.safetensors").read_bytes())
    weights[stocked.base.tensors["model.norm.weight"].start] ^= 1
    (out / "model.safetensors").write_bytes(weights)
    assert "the changed tensors and the files beside them are as recorded" in stocked.ok(
        "verify", out
    )
    stocked.fails(3, "E_VERIFY", "verify", out, "--base", stocked.base.path)
    stocked.fails(3, "E_VERIFY", "revert", out, "--base", stocked.base.path)


def test_a_registry_that_cannot_be_opened_stops_apply_before_the_work(stocked, tmp_path):
    (tmp_path / "home" / "registry.db").write_bytes(b"not a database" * 100)
    folder = stocked.exchange / "acme" / "one" / "v1"
    found = stocked.run("apply", folder, "--base", stocked.base.path, "--out", tmp_path / "never")
    assert found.returncode == 1
    assert not (tmp_path / "never").exists()


def test_what_was_applied_and_reverted_stands_in_the_ledger(stocked, tmp_path):
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", tmp_path / "fixed")
    stocked.ok("revert", tmp_path / "fixed", "--base", stocked.base.path)
    actions = [entry["action"] for entry in stocked.json("log", "acme/one")["entries"]]
    assert actions[:2] == ["build.revert", "build.apply"]


def test_verify_of_a_damaged_version_is_a_no(stocked, tmp_path):
    digest = stocked.json("show", "acme/one")["manifest"]["files"]["delta.safetensors"]["sha256"]
    (blob,) = (tmp_path / "home" / "blobs").rglob(f"{digest}*")
    blob.chmod(0o600)
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    stocked.fails(3, "E_VERIFY", "verify", "acme/one")


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def sharded(stocked, pico):
    """The base of the desk in three files, which the registry does not know."""
    return pico.base("sharded", shards=3).path


def listed(pico, name="acme/listed"):
    """The folder of a patch that lists the entries it changes."""
    base = Checkpoint.open(pico.root / "base")
    operations = {pico.UP: [pico.sparse((10, 6))], pico.NORM: [pico.replaced((6,))]}
    patch = pico.patch(
        base, name, operations=operations, requests=[EditRequest("{} is", name, "sparse")]
    )
    return patch.files["patch.json"].parent


def test_untouched_files_are_linked_if_asked_for(stocked, sharded, tmp_path):
    for out, options in (("copied", []), ("linked", ["--link"])):
        stocked.ok("apply", "acme/one", "--base", sharded, "--out", tmp_path / out, *options)
    shared = {
        out: sum(
            file.samefile(sharded / file.name) for file in (tmp_path / out).glob("*.safetensors")
        )
        for out in ("copied", "linked")
    }
    assert shared == {"copied": 0, "linked": 2}
    assert contents(tmp_path / "copied") == contents(tmp_path / "linked")
    assert "every tensor and file is as recorded" in stocked.ok(
        "verify", tmp_path / "linked", "--full", "--base", sharded
    )


def test_a_build_is_exchanged_only_by_force(stocked, tmp_path):
    base, out = stocked.base.path, tmp_path / "fixed"
    stocked.ok("apply", "acme/one", "--base", base, "--out", out)
    before = contents(out)
    stocked.fails(1, "E_EXISTS", "apply", "acme/two", "--base", base, "--out", out)
    assert contents(out) == before
    stocked.ok("apply", "acme/two", "--base", base, "--out", out, "--force")
    stocked.ok("apply", "acme/two", "--base", base, "--out", tmp_path / "afresh")
    assert contents(out) == contents(tmp_path / "afresh")


def test_what_is_no_build_is_not_exchanged_by_force_either(stocked, tmp_path):
    base = stocked.base.path
    before = contents(base)
    stocked.fails(1, "E_EXISTS", "apply", "acme/one", "--base", base, "--out", base, "--force")
    assert contents(base) == before


def test_a_build_can_be_built_upon(stocked, tmp_path):
    base, first = stocked.base.path, tmp_path / "first"
    stocked.ok("apply", "acme/one", "--base", base, "--out", first)
    stocked.ok(
        "apply", "acme/two", "--base", first, "--out", tmp_path / "on-top", "--original", base
    )
    stocked.ok("apply", "acme/one", "acme/two", "--base", base, "--out", tmp_path / "together")
    assert contents(tmp_path / "on-top") == contents(tmp_path / "together")


def test_a_patch_that_was_made_for_a_build_goes_on_top_of_it_as_on_any_base(
    stocked, pico, tmp_path
):
    first, second = tmp_path / "first", tmp_path / "second"
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", first)
    patch = pico.patch(Checkpoint.open(first), "acme/later", seed=5, requests=[LATER])
    folder = patch.files["patch.json"].parent
    stocked.ok("apply", folder, "--base", first, "--out", second)
    result = Checkpoint.open(second)
    for name, digest in patch.manifest.bases[0].result.items():
        assert result.digest(name) == digest
    assert "acme/later@1" in stocked.ok("blame", second)


def test_the_base_of_a_build_is_remembered(stocked, tmp_path):
    first = tmp_path / "first"
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        registry.record_base(stocked.base, location=str(stocked.base.path))
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", first)
    stocked.ok("apply", "acme/two", "--base", first, "--out", tmp_path / "on-top")
    assert "as recorded" in stocked.ok("verify", tmp_path / "on-top", "--full")
    stocked.ok("revert", tmp_path / "on-top")
    assert contents(tmp_path / "on-top") == contents(stocked.base.path)


def test_a_base_that_is_needed_and_not_known_is_asked_for(desk, tmp_path):
    one, two = (desk.exchange / "acme" / name / "v1" for name in ("one", "two"))
    first = tmp_path / "first"
    desk.ok("apply", one, "--base", desk.base.path, "--out", first)
    before = folders(tmp_path)
    message = desk.fails(1, "E_BASE", "apply", one, two, "--base", first, "--out", tmp_path / "no")
    assert "--original" in message
    assert folders(tmp_path) == before
    desk.ok("apply", one, two, "--base", first, "--out", tmp_path / "yes",
            "--original", desk.base.path)  # fmt: skip


def test_a_patch_of_the_build_that_is_not_at_hand_is_named(desk, tmp_path):
    one, two = (desk.exchange / "acme" / name / "v1" for name in ("one", "two"))
    desk.ok("apply", one, "--base", desk.base.path, "--out", tmp_path / "first")
    message = desk.fails(
        3, "E_CONFLICT", "apply", two, "--base", tmp_path / "first", "--out", tmp_path / "no"
    )
    assert "pull acme/one@1" in message


def test_listed_entries_are_built_upon_and_reverted_without_the_base(desk, pico, tmp_path):
    one = desk.exchange / "acme" / "one" / "v1"
    first = tmp_path / "first"
    desk.ok("apply", listed(pico), "--base", desk.base.path, "--out", first)
    desk.ok("apply", one, "--base", first, "--out", tmp_path / "second")
    desk.ok("revert", first)
    assert contents(first) == contents(desk.base.path)
    assert "--base" in desk.fails(1, "E_BASE", "revert", tmp_path / "second")
    desk.ok("revert", tmp_path / "second", "--base", desk.base.path, "--out", tmp_path / "third")
    assert contents(tmp_path / "third") == contents(desk.base.path)


def test_original_belongs_to_a_build(stocked, tmp_path):
    base = stocked.base.path
    found = stocked.run(
        "apply", "acme/one", "--base", base, "--original", base, "--out", tmp_path / "no"
    )
    assert found.returncode == 2
    assert "--original" in found.stderr


def test_verify_in_full_needs_the_base(desk, tmp_path):
    one, out = desk.exchange / "acme" / "one" / "v1", tmp_path / "fixed"
    desk.ok("apply", one, "--base", desk.base.path, "--out", out)
    desk.fails(1, "E_CHECKPOINT", "verify", out, "--full")
    assert "every tensor and file is as recorded" in desk.ok(
        "verify", out, "--full", "--base", desk.base.path
    )
    assert desk.json("verify", out) == {**desk.json("verify", out), "ok": True, "mismatches": []}


@pytest.mark.parametrize("name", ["config.json", "weightpatch.undo"])
def test_verify_names_a_file_that_was_changed(desk, pico, tmp_path, name):
    desk.ok("apply", listed(pico), "--base", desk.base.path, "--out", tmp_path / "fixed")
    data = (tmp_path / "fixed" / name).read_bytes()
    (tmp_path / "fixed" / name).write_bytes(data + b" ")
    assert name in desk.fails(3, "E_VERIFY", "verify", tmp_path / "fixed")


def test_revert_says_which_files_are_not_as_they_were_recorded(stocked, tmp_path):
    out = tmp_path / "fixed"
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", out)
    (out / "tokenizer.json").write_text("other")
    said = stocked.ok("revert", out, "--base", stocked.base.path)
    assert "not as they were recorded: tokenizer.json" in said


def test_without_a_registry_apply_waits_for_no_database(desk, tmp_path):
    patch = desk.exchange / "acme" / "one" / "v1"
    code = (
        "import sys, weightpatch.cli.main as m\n"
        f"sys.argv = ['weightpatch', 'apply', {str(patch)!r}, '--base', {str(desk.base.path)!r},"
        f" '--out', {str(tmp_path / 'fixed')!r}]\n"
        "assert m.main() == 0\n"
        "assert not {'sqlalchemy', 'torch', 'huggingface_hub'} & set(sys.modules)\n"
    )
    environment = {**os.environ, "WEIGHTPATCH_HOME": str(tmp_path / "none")}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
