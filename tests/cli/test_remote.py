"""remote, as a user types it: named, used by push and pull, listed, taken away."""

import json

import pytest
from weightpatch.registry.registry import Registry


@pytest.fixture
def other(run_command, tmp_path):
    """Another user's command line, with a registry of its own."""
    home = tmp_path / "other"
    run_command("init", home=home)
    return lambda *arguments: run_command(*arguments, home=home)


@pytest.fixture
def named(stocked, tmp_path, monkeypatch):
    """The stocked desk at work in a folder, where `team` means a folder that is not there yet."""
    monkeypatch.chdir(tmp_path)
    found = stocked.run("remote", "add", "team", "./drive")
    assert found.stdout == f"team now means {tmp_path / 'drive'}\n"
    assert "the first push makes it" in found.stderr
    return stocked


def test_a_remote_is_named_listed_and_taken_away(named, tmp_path):
    drive = str(tmp_path / "drive")
    assert "nothing was changed" in named.ok("remote", "add", "team", drive)
    said = named.fails(1, "E_EXISTS", "remote", "add", "team", "hf://")
    assert "next: take the name away first: weightpatch remote remove team" in said

    head, _, row = named.ok("remote", "list").splitlines()
    assert head.split() == ["name", "since", "who", "location"]
    assert (row.split()[0], row.split()[-1]) == ("team", drive)
    document = named.json("remote", "list")
    assert document["schema"] == "weightpatch.remote.list/1"
    assert [(one["name"], one["location"]) for one in document["remotes"]] == [("team", drive)]

    assert "did you mean team?" in named.fails(1, "E_NOT_FOUND", "remote", "remove", "tema")
    assert named.json("remote", "remove", "team")["removed"]["location"] == drive
    assert "no remote has a name" in named.run("remote", "list").stderr
    first, second = named.json("log", "--action", "remote.name")["entries"]
    assert (first["detail"]["location"], second["detail"]["location"]) == (None, drive)
    assert drive in named.ok("log", "--action", "remote.name")


def test_a_folder_whose_parent_is_not_there_is_told(named, tmp_path):
    said = named.run("remote", "add", "far", "not/there").stderr
    assert f"nor {tmp_path / 'not'}, in which it would be" in said
    assert "the first push makes it" not in said


def test_a_mistyped_address_makes_no_folder(named, tmp_path):
    for text in ("HF://", "hf:/", "hf:acme/one"):
        assert "write hf://" in named.fails(1, "E_NAME", "push", "acme/one", text)
        assert "write hf://" in named.fails(1, "E_NAME", "remote", "add", "wrong", text)
    assert not [one for one in tmp_path.iterdir() if one.name.lower().startswith("hf")]


def test_a_name_is_a_remote_of_push_and_pull(named, other, tmp_path):
    plan = named.json("push", "acme/one", "team", "--dry-run")
    assert plan["location"] == str(tmp_path / "drive/acme/one/v1")
    assert f"is now at {tmp_path / 'drive'}" in named.ok("push", "acme/one", "team")
    other("remote", "add", "team", tmp_path / "drive")
    found = other("pull", "acme/one", "team", "--all-versions")
    assert "stored acme/one@1" in found.stdout, found.stderr
    assert "already known" in other("pull", "acme/one", "team").stdout
    (transfer, *_) = json.loads(other("show", "acme/one", "--json").stdout)["transfers"]
    assert transfer["remote"] == str(tmp_path / "drive")


def test_the_name_goes_before_the_folder_that_is_called_so(named, tmp_path):
    (tmp_path / "team").mkdir()
    named.ok("push", "acme/one", "team")
    assert list((tmp_path / "team").iterdir()) == []
    named.ok("push", "acme/one", "./team")
    assert (tmp_path / "team" / "acme" / "one" / "v1").is_dir()
    (tmp_path / "site").mkdir()
    assert "write ./site for the folder" in named.run("remote", "add", "site", "team/").stderr


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_a_word_that_is_no_name_and_no_folder_is_not_taken_for_one(named, tmp_path, verb):
    said = named.fails(1, "E_NOT_FOUND", verb, "acme/one", "taem")
    assert "no remote is called 'taem'" in said
    assert "did you mean team? Else weightpatch remote add taem hf://" in said
    assert "./taem for a folder" in said
    assert not (tmp_path / "taem").exists()


def test_the_default_is_for_patches_that_were_never_exchanged(again, other, tmp_path):
    shelf = tmp_path / "shelf"
    for number in (1, 2):
        again.ok("push", f"acme/one@{number}", shelf)
    assert "go there from now on" in other("remote", "add", "default", shelf).stderr

    found = other("pull", "acme/one@1")
    assert f"from {shelf}, the remote called default" in found.stderr
    assert "stored as acme/one@1" in found.stdout
    assert f"from {shelf}, as last time" in other("pull", "acme/one@1").stderr


def test_a_patch_that_went_nowhere_goes_to_the_default(stocked, pico, tmp_path):
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        registry.admit(pico.patch(stocked.base, "acme/mine", seed=5))
        registry.add_remote("default", str(tmp_path / "shelf"))
    assert "acme/mine was never pushed" in stocked.run("outdated", "acme/mine").stderr
    found = stocked.run("push", "acme/mine")
    assert f"to {tmp_path / 'shelf'}, the remote called default" in found.stderr
    assert f"acme/mine@1 is now at {tmp_path / 'shelf'}" in found.stdout
    found = stocked.run("outdated", "acme/mine")
    assert (found.returncode, found.stderr) == (0, "nothing newer\n")
