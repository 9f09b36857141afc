"""pull, as a user types it: all versions, without a remote, from one address."""

import json
import shutil

import pytest


@pytest.fixture
def shelf(again, tmp_path):
    """The desk with both versions of acme/one in a folder remote, and the second home empty."""
    again.ok("push", "acme/one@1", tmp_path / "shelf")
    again.ok("push", "acme/one@2", tmp_path / "shelf")
    return tmp_path / "shelf"


@pytest.fixture
def other(run_command, tmp_path):
    """Another user's command line, with a registry of its own."""
    home = tmp_path / "other"
    run_command("init", home=home)
    return lambda *arguments: run_command(*arguments, home=home)


def test_all_versions_come_at_once(shelf, other):
    found = other("pull", "acme/one", shelf, "--all-versions")
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "stored acme/one@1",
        "stored acme/one@2",
        "2 new versions of 2 there",
    ]
    assert "already here: acme/one@1" in other("pull", "acme/one", "--all-versions").stdout


def test_of_all_versions_those_before_a_bad_one_stay(shelf, other):
    (shelf / "acme" / "one" / "v2" / "requests.jsonl").unlink()
    found = other("pull", "acme/one", shelf, "--all-versions")
    assert found.returncode == 1
    assert "error[E_MANIFEST]" in found.stderr
    assert "what came before it stays: acme/one@1" in found.stderr
    assert "acme/one@1" in other("list").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("acme/one@1", "shelf", "--all-versions"),
        ("hf://acme/one@v1", "--all-versions"),
        ("acme/one", "shelf", "--all-versions", "--older"),
        ("hf://acme/one", "shelf"),
        ("hf://",),
    ],
)
def test_what_makes_no_sense_together_is_wrong_usage(stocked, arguments):
    assert stocked.run("pull", *arguments).returncode == 2


def test_without_a_remote_it_comes_from_where_it_came_from_last(stocked):
    found = stocked.run("pull", "acme/one")
    assert f"from {stocked.exchange}" in found.stderr
    assert "already known as acme/one@1" in found.stdout


def test_a_remote_that_went_back_is_refused_without_a_word(shelf, other):
    other("pull", "acme/one", shelf)
    shutil.rmtree(shelf / "acme" / "one" / "v2")
    found = other("pull", "acme/one")
    assert found.returncode == 1
    assert "error[E_REFUSED]" in found.stderr
    assert "acme/one@1" not in other("list").stdout
    assert other("pull", "acme/one", "--older").returncode == 0


def test_the_hub_is_where_an_unknown_patch_comes_from(stocked, pico, other, hub, tmp_path):
    patch = pico.patch(stocked.base, "alice/tongues", seed=3)
    home = tmp_path / "alices" / "alice" / "tongues"
    home.mkdir(parents=True)
    patch.files["patch.json"].parent.rename(home / "v1")
    stocked.ok("pull", "alice/tongues", tmp_path / "alices")
    stocked.ok("push", "alice/tongues", "hf://", "--public")

    found = other("pull", "alice/tongues")
    assert "from hf://" in found.stderr
    assert "stored as alice/tongues@1" in found.stdout
    commit = hub["alice/tongues"].tags["v1"]
    for address in ("hf://alice/tongues", "hf://alice/tongues@v1", f"hf://alice/tongues@{commit}"):
        again = other("pull", address)
        assert "already known as alice/tongues@1" in again.stdout, again.stderr
    assert "error[E_NOT_FOUND]" in other("pull", "alice/nothing").stderr


def test_the_first_pull_makes_a_registry(shelf, run_command, tmp_path):
    home = tmp_path / "first"
    found = run_command("pull", "acme/one", shelf, home=home)
    assert (found.returncode, found.stderr) == (
        0,
        f"made a registry in {home}, as there was none\n",
    )
    assert found.stdout.endswith(f"from {shelf}/acme/one/v2\n")
    assert "made a registry" not in run_command("pull", "acme/one", shelf, home=home).stderr


@pytest.mark.parametrize("asked", ["acme/none", "acme", "acme/one@x", "acme/one@9"])
@pytest.mark.parametrize("flags", [(), ("--all-versions",)])
def test_a_pull_that_cannot_be_made_makes_none(shelf, run_command, tmp_path, asked, flags):
    found = run_command("pull", asked, shelf, *flags, home=tmp_path / "first")
    assert found.returncode in {1, 2}
    assert "made a registry" not in found.stderr
    assert not (tmp_path / "first").exists()


@pytest.mark.parametrize("flags", [(), ("--all-versions",)])
def test_a_registry_that_was_half_made_is_finished(shelf, run_command, tmp_path, flags):
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "registry.db").touch()
    found = run_command("pull", "acme/one", shelf, *flags, home=tmp_path / "first")
    assert (found.returncode, "made a registry" in found.stderr) == (0, True)
    listed = run_command("list", "--json", home=tmp_path / "first").stdout
    assert "acme/one" in listed


def test_the_document_says_where_it_came_from(shelf, other):
    document = json.loads(other("pull", "acme/one", shelf, "--json").stdout)
    assert document["location"] == f"{shelf}/acme/one/v2"
    assert (document["revision"], document["already_there"]) == (None, False)
    assert (document["version"]["name"], document["version"]["version"]) == ("acme/one", 2)


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("1", "write hf://acme/one@v1"),
        ("deadbee", "a commit is written in full, with 40 digits"),
    ],
)
@pytest.mark.parametrize("command", ["pull", "show"])
def test_a_revision_that_is_not_there_is_said_how_to_write(stocked, hub, command, revision, said):
    stocked.ok("push", "acme/one", "hf://", "--public")
    found = stocked.run(command, f"hf://acme/one@{revision}")
    assert (found.returncode, said in found.stderr) == (1, True)
