"""What apply and revert say at the end: a few lines, and no more than was checked."""

import pytest


@pytest.fixture
def many(desk, pico, tmp_path):
    """The folder of a patch that changes thirteen tensors, and its base."""
    names = [f"extra.{number:02d}" for number in range(13)]
    tensors = pico.tensors()
    base = pico.base_of({**tensors, **dict.fromkeys(names, tensors[pico.NORM])}, "many")
    operations = {name: [pico.replaced((6,))] for name in names}
    return pico.patch(base, "acme/many", operations=operations).files["patch.json"].parent, base


def test_people_see_a_few_tensors_and_programs_all(desk, many, tmp_path):
    patch, base = many
    page = desk.ok("apply", patch, "--base", base.path, "--out", tmp_path / "fixed").splitlines()
    assert sum(line.startswith("extra.") for line in page) == 10
    assert "… and 3 more tensors" in page
    page = desk.ok("revert", tmp_path / "fixed", "--out", tmp_path / "again").splitlines()
    assert sum(line.startswith("extra.") for line in page) == 10
    assert "… and 3 more tensors" in page
    document = desk.json("apply", patch, "--base", base.path, "--out", tmp_path / "other")
    assert len(document["result"]) == 13
    assert len(desk.json("revert", tmp_path / "other")["tensors"]) == 13


def test_revert_says_what_was_compared(desk, listed, tmp_path):
    for out, options in (("first", []), ("second", ["--base", desk.base.path])):
        desk.ok("apply", listed, "--base", desk.base.path, "--out", tmp_path / out)
        page = desk.ok("revert", tmp_path / out, *options)
        assert ("every digest is the base's" in page) == bool(options)
        assert ("the others were not compared (give --base)" in page) != bool(options)


def test_apply_says_how_much_was_promised(stocked, listed, tmp_path):
    base = stocked.base.path
    page = stocked.ok("apply", "acme/one", "--base", base, "--out", tmp_path / "one")
    assert "every digest is the promised one" in page
    page = stocked.ok("apply", "acme/one", "acme/two", listed, "--base", base,
                      "--out", tmp_path / "three")  # fmt: skip
    assert "2 of 3 digests were promised, and are so" in page
