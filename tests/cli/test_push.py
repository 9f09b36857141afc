"""push, as a user types it: planned, by default where it went last, public or not."""

import pytest
from weightpatch.registry.registry import Registry


@pytest.fixture
def mine(stocked, pico, tmp_path):
    """The stocked desk, and a patch of alice's own in a folder remote."""
    patch = pico.patch(stocked.base, "alice/tongues", seed=3)
    home = stocked.exchange / "alice" / "tongues"
    home.mkdir(parents=True)
    patch.files["patch.json"].parent.rename(home / "v1")
    stocked.ok("pull", "alice/tongues", stocked.exchange)
    return stocked


def test_without_a_remote_it_goes_where_it_went_last(stocked, tmp_path):
    stocked.ok("push", "acme/one", tmp_path / "drive")
    found = stocked.run("push", "acme/one")
    assert f"to {tmp_path / 'drive'}, as last time" in found.stderr
    assert "acme/one@1 is already at" in found.stdout


def test_a_patch_that_went_nowhere_needs_a_remote(stocked, pico, tmp_path):
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        registry.admit(pico.patch(stocked.base, "acme/mine", seed=5))
    said = stocked.fails(1, "E_NOT_FOUND", "push", "acme/mine")
    assert "next: name one: weightpatch push acme/mine hf://" in said


def test_a_dry_run_tells_what_would_be_written_and_writes_nothing(stocked, tmp_path):
    drive = tmp_path / "drive"
    said = stocked.ok("push", "acme/one", drive, "--dry-run")
    assert f"acme/one@1 would go to {drive}/acme/one/v1" in said
    assert "the folder would be made first" in said
    for file in ("patch.json", "delta.safetensors", "requests.jsonl", "README.md"):
        assert file in said
    assert "4 files" in said
    assert not drive.exists()
    stocked.ok("push", "acme/one", drive)
    assert "nothing would be sent" in stocked.ok("push", "acme/one", drive, "--dry-run")


def test_a_dry_run_to_the_hub_says_who_could_read_it(mine, hub):
    private = mine.json("push", "alice/tongues", "hf://", "--dry-run")
    assert (private["makes"], private["private"]) == (True, True)
    assert private["schema"] == "weightpatch.push-plan/1"
    said = mine.ok("push", "alice/tongues", "hf://", "--dry-run", "--public")
    assert "a public repository would be made first" in said
    assert hub.asked("POST PUT DELETE", "") == 0


@pytest.mark.parametrize("public", [False, True])
def test_the_repository_is_public_only_if_told_so(mine, hub, public):
    mine.ok("push", "alice/tongues", "hf://", *(["--public"] if public else []))
    assert hub["alice/tongues"].private is not public


def test_a_repository_that_was_there_is_said_to_stay_as_it_is(mine, hub):
    mine.ok("push", "alice/tongues", "hf://")
    found = mine.run("push", "alice/tongues", "hf://", "--public")
    assert "its repository was there, and stays as private or public as it was" in found.stderr
    assert hub["alice/tongues"].private
    assert "stays as" not in mine.run("push", "alice/tongues", "hf://").stderr


def test_a_folder_cannot_be_made_public(stocked, tmp_path):
    said = stocked.fails(1, "E_REFUSED", "push", "acme/one", tmp_path / "drive", "--public")
    assert "leave --public out" in said
    assert not (tmp_path / "drive").exists()


def test_the_card_names_the_languages(stocked, tmp_path):
    stocked.fails(1, "E_NAME", "push", "acme/one", tmp_path / "drive", "--language", "English")
    stocked.ok("push", "acme/one", tmp_path / "drive", "--language", "en", "--language", "fr")
    card = (tmp_path / "drive" / "acme" / "one" / "v1" / "README.md").read_text()
    assert "language:\n- en\n- fr\n" in card
    late = stocked.run("push", "acme/one", tmp_path / "drive", "--language", "de")
    assert "its card was there, and stays as it was" in late.stderr


def test_who_comes_second_publishes_under_the_next_number(again, pico, tmp_path):
    drive = tmp_path / "drive"
    taken = drive / "acme" / "one" / "v2"
    again.ok("push", "acme/one@1", drive)
    theirs = pico.patch(again.base, "acme/three", seed=9)
    pico.rewrite(theirs, name="acme/one", version=2, author="bob").rename(taken)
    said = again.fails(1, "E_CLASH", "push", "acme/one@2", drive)
    assert "by 'bob', 2026-01-31T12:00:00Z" in said
    assert f"weightpatch push acme/one@2 {drive} --next" in said
    planned = again.json("push", "acme/one@2", drive, "--next", "--dry-run")
    assert (planned["version"]["version"], planned["location"]) == (3, str(taken.with_name("v3")))
    found = again.run("push", "acme/one@2", drive, "--next")
    assert f"acme/one@3 is now at {taken.with_name('v3')}" in found.stdout
    assert "acme/one@3 does what acme/one@2 does, whose number was taken there" in found.stderr
    document = again.json("push", "acme/one@2", drive, "--next")
    assert (document["made_from"], document["already_there"]) == ("acme/one@2", True)
    assert document["version"]["digest"] == again.json("show", "acme/one@3")["digest"]
    again.fails(1, "E_CLASH", "pull", "acme/one", drive, "--all-versions")
    again.ok("delete", "acme/one@2", "--reason", "its number is another's")
    followed = again.ok("pull", "acme/one", drive, "--all-versions")
    assert "left out acme/one@2, which was deleted here" in followed


def test_a_card_without_a_base_of_the_hub_is_told(mine, hub, tmp_path):
    found = mine.run("push", "alice/tongues", "hf://")
    assert "note: its card names no base model, as base was named by its folder" in found.stderr
    assert "names no base" not in mine.run("push", "alice/tongues", tmp_path / "drive").stderr


@pytest.mark.parametrize(
    "command", [("push", "acme/one"), ("pull", "acme/one"), ("search", "--remote")]
)
@pytest.mark.parametrize("inner", ["acme/one", "acme/one/v1"])
def test_the_folder_of_one_patch_is_no_remote(stocked, command, inner):
    said = stocked.fails(1, "E_REFUSED", *command, stocked.exchange / inner)
    assert f" {stocked.exchange}" in said.partition("next: ")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("push", "./drive", "acme/one"), "weightpatch push acme/one ./drive"),
        (("pull", "hf://", "acme/one@1"), "weightpatch pull acme/one@1 hf://"),
        (("propose", "team", "acme/one"), "weightpatch propose acme/one team"),
        (("push", "acme/one/", "./drive"), "write acme/one"),
        (("pull", "acme/one/"), "write acme/one"),
    ],
)
def test_what_is_mistyped_is_answered_with_what_is_meant(desk, arguments, said):
    found = desk.run(*arguments)
    assert found.returncode == 2
    assert said in " ".join(found.stderr.split())
