"""propose, as a user types it: planned, sent, sent again, and refused."""

import shutil

import pytest
from weightpatch.registry.registry import Registry


@pytest.fixture
def contributor(stocked, pico, tmp_path):
    """The stocked desk, and a patch of carol's own."""
    with Registry.open(home=tmp_path / "home", actor="carol") as registry:
        registry.admit(pico.patch(stocked.base, "carol/fix", seed=5))
    return stocked


def test_a_dry_run_shows_the_page_and_sends_nothing(contributor):
    place = contributor.exchange / "acme" / "one"
    said = contributor.ok("propose", "carol/fix", place, "--dry-run", "--note", "Please.")
    assert said.startswith("Propose acme/one@2: a fix\n")
    assert "\nPlease.\n" in said
    assert "## How to review it" in said
    assert said.endswith(f"carol/fix@1 would be proposed to {place}; nothing was sent\n")
    assert [path.name for path in place.iterdir()] == ["v1"]


def test_it_is_proposed_once_and_says_how_it_is_reviewed(contributor):
    place = contributor.exchange / "acme" / "one"
    said = contributor.ok("propose", "carol/fix", place)
    assert said.splitlines() == [
        f"carol/fix@1 is now proposed as acme/one@2: {place}/pr/1",
        f"whoever keeps the patch looks at it with: weightpatch review {place}/pr/1",
    ]
    again = contributor.json("propose", "carol/fix", place)
    assert again["schema"] == "weightpatch.propose/1"
    assert (again["version"]["name"], again["version"]["version"]) == ("acme/one", 2)
    assert (again["made_from"]["name"], again["follows"]) == ("carol/fix", "acme/one@1")
    assert (again["number"], again["location"]) == (1, f"{place}/pr/1")
    assert again["already_there"] is True
    (entry,) = contributor.json("log", "--action", "proposal.open")["entries"]
    assert entry["detail"]["location"] == f"{place}/pr/1"


def test_without_a_place_it_goes_where_the_patch_was_exchanged(again):
    found = again.run("propose", "acme/one@2")
    assert f"to {again.exchange}, as last time" in found.stderr
    assert f"acme/one@2 is now proposed as acme/one@2: {again.exchange}" in found.stdout


def test_it_goes_to_a_patch_in_a_remote_that_has_a_name(contributor, monkeypatch, tmp_path):
    contributor.ok("remote", "add", "shelf", contributor.exchange)
    place = contributor.exchange / "acme" / "one"
    planned = contributor.ok("propose", "carol/fix", "shelf/acme/one", "--dry-run")
    assert f"would be proposed to {place}" in planned
    monkeypatch.chdir(tmp_path)
    contributor.fails(1, "E_NOT_FOUND", "propose", "carol/fix", "./shelf/acme/one")
    contributor.fails(1, "E_NOT_FOUND", "propose", "carol/fix", "shelve/acme/one")
    assert f"{place}/pr/1" in contributor.ok("propose", "carol/fix", "shelf/acme/one")


def test_what_cannot_be_proposed(contributor, tmp_path):
    said = contributor.fails(1, "E_NOT_FOUND", "propose", "carol/fix")
    assert "next: name a patch: weightpatch propose carol/fix hf://namespace/name" in said
    contributor.fails(1, "E_NOT_FOUND", "propose", "carol/fix", contributor.exchange)
    contributor.fails(1, "E_NAME", "propose", "carol/fix", "hf://acme/one@v1")
    contributor.fails(1, "E_REFUSED", "propose", "acme/one", contributor.exchange)
    contributor.fails(1, "E_NOT_FOUND", "propose", "carol/fox", contributor.exchange)
    contributor.fails(
        1,
        "E_NAME",
        "propose",
        "carol/fix",
        contributor.exchange / "acme/one",
        "--language",
        "English",
    )
    shutil.rmtree(tmp_path / "home")
    contributor.fails(1, "E_NO_REGISTRY", "propose", "carol/fix", contributor.exchange)


def test_to_the_hub_it_goes_as_a_pull_request(contributor, hub):
    contributor.ok("push", "acme/one", "hf://", "--public")
    said = contributor.ok("propose", "carol/fix", "hf://acme/one")
    assert "carol/fix@1 is now proposed as acme/one@2: hf://acme/one/pr/1" in said
    assert f"people talk about it at {hub.url}/acme/one/discussions/1" in said
    assert hub["acme/one"].discussions[1].title == "Propose acme/one@2: a fix"
