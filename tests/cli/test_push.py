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
