"""Bases that were given once need not be given again."""

import shutil


def test_a_base_given_to_apply_is_remembered(stocked, tmp_path):
    first, base = tmp_path / "first", stocked.base.path
    stocked.ok("apply", "acme/one", "--base", base, "--out", first)
    stocked.ok("apply", "acme/two", "--out", tmp_path / "second")
    stocked.ok("revert", first, "--out", tmp_path / "again")
    for file in base.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_a_base_given_to_compose_is_remembered(stocked, tmp_path):
    stocked.ok("compose", "acme/one", "acme/two", "--name", "acme/both",
               "--base", stocked.base.path)  # fmt: skip
    stocked.ok("apply", "acme/both", "--out", tmp_path / "fixed")


def test_a_remembered_base_serves_patches_of_its_other_tensors(stocked, listed, tmp_path):
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", tmp_path / "first")
    stocked.ok("apply", listed, "--out", tmp_path / "second")


def test_a_build_is_not_remembered_as_a_base(stocked, tmp_path):
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", tmp_path / "first")
    stocked.ok("apply", "acme/two", "--base", tmp_path / "first", "--out", tmp_path / "second")
    actions = [entry["action"] for entry in stocked.json("log")["entries"]]
    assert actions.count("base.record") == 1


def test_a_base_that_cannot_be_remembered_is_no_reason_to_fail(stocked, tmp_path):
    deep = tmp_path.joinpath(*["d" * 200] * 5)
    shutil.copytree(stocked.base.path, deep)
    found = stocked.run("apply", "acme/one", "--base", deep, "--out", tmp_path / "fixed")
    assert found.returncode == 0
    assert "note: where the base lies is not remembered" in found.stderr


def test_the_base_of_a_build_is_remembered_though_its_patch_is_only_a_folder(stocked, tmp_path):
    folder = tmp_path / "folder"
    patch = stocked.exchange / "acme" / "one" / "v1"
    shutil.copytree(patch, folder)
    stocked.ok("apply", folder, "--base", stocked.base.path, "--out", tmp_path / "fixed")
    stocked.ok("verify", tmp_path / "fixed", "--full")
    stocked.ok("revert", tmp_path / "fixed", "--out", tmp_path / "again")


def test_patches_of_different_bases_are_said_to_be_so(stocked, pico, tmp_path):
    """Both bases are known; that neither fits both is what is told."""
    other = pico.base("other", seed=1)
    folder = pico.patch(other, "acme/elsewhere", seed=5).files["patch.json"].parent
    stocked.ok("apply", "acme/one", "--base", stocked.base.path, "--out", tmp_path / "first")
    stocked.ok("apply", folder, "--base", other.path, "--out", tmp_path / "second")
    for pair in (("acme/one", folder), (folder, "acme/one")):
        told = stocked.fails(1, "E_BASE", "apply", *pair, "--out", tmp_path / "both")
        assert "no one base fits both acme/" in told
        assert "acme/elsewhere" in told
        assert "known on this machine" not in told
