"""outdated, as a user and as a program read it."""

import shutil

from weightpatch.registry.registry import Registry


def test_newer_versions_are_listed_and_nothing_is_changed(again, tmp_path):
    drive = tmp_path / "drive"
    again.ok("push", "acme/one@1", drive)
    again.ok("push", "acme/one@2", drive)
    assert "nothing newer" in again.run("outdated").stderr
    before = again.json("log")
    lines = again.ok("outdated", "acme/one@1").splitlines()
    assert lines[0].split("  ")[0] == "patch"
    assert lines[2].split() == ["acme/one", "1", "2", str(drive)]
    document = again.json("outdated", "acme/one@1", "acme/two")
    assert document["schema"] == "weightpatch.outdated/1"
    assert document["newer"] == [{"name": "acme/one", "here": 1, "there": 2, "remote": str(drive)}]
    assert again.json("log") == before


def test_a_remote_that_is_gone_is_told_and_stops_nothing(again, tmp_path):
    again.ok("push", "acme/one@1", tmp_path / "drive")
    again.ok("push", "acme/one@2", tmp_path / "drive")
    shutil.rmtree(again.exchange)
    found = again.run("outdated", "acme/two", "acme/one@1")
    assert found.returncode == 0
    assert str(tmp_path / "drive") in found.stdout
    assert f"warning: {again.exchange} could not be asked for acme/two" in found.stderr
    (first, *_) = again.json("outdated", "acme/two")["unanswered"]
    assert (first["name"], first["code"]) == ("acme/two", "E_NOT_FOUND")


def test_a_patch_without_a_remote_is_told(again, pico, tmp_path):
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        registry.admit(pico.patch(again.base, "acme/mine", seed=5))
    assert "acme/mine was never pushed or pulled" in again.run("outdated", "acme/mine").stderr
    again.fails(1, "E_NOT_FOUND", "outdated", "acme/nothing")
