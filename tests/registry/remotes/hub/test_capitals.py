"""Accounts of the Hub have capitals, patches have none: the place says how it is written."""

import pytest
from pull_requests import TEXT, as_bundle
from weightpatch.patches.errors import NameRefused
from weightpatch.registry.remotes.base import open_remote
from weightpatch.registry.remotes.location import parse_location, parse_proposal
from weightpatch.registry.sharing.finding import look, search

pytestmark = pytest.mark.parametrize("transfer", ["lfs"])
PLACE = "hf://CarolLabs/Tongues"
NAME = "carollabs/tongues"


@pytest.fixture
def patch_name() -> str:
    return NAME


def test_a_patch_lies_where_the_place_says(hub, bundle, as_user, tmp_path):
    as_user("hf_carol")
    remote, sent = open_remote(PLACE), bundle()

    assert remote.plan(sent).location == remote.push(sent).location == f"{PLACE}@v1"
    pulled = open_remote(f"{PLACE}@v1").pull(NAME, None, folder(tmp_path, "pulled"))

    assert pulled.patch.digest == sent.patch.digest
    assert (pulled.location, remote.versions(NAME)) == (f"{PLACE}@v1", [1])
    assert look(PLACE).location == f"{PLACE}@v1"
    assert [found.name for found in search("hf://", author="CarolLabs").patches] == [PLACE[5:]]


def test_what_is_proposed_there_is_found_there(hub, bundle, as_user, tmp_path):
    as_user("hf_carol")
    remote = open_remote(PLACE)
    remote.push(bundle())

    made = remote.propose(bundle(2, seed=2), TEXT)
    place = parse_proposal(made.location)
    found = open_remote(place.remote).proposal(place.name, 1, folder(tmp_path, "found"))
    accepted = remote.accept(NAME, 1, as_bundle(found.patch))

    assert made.location == str(place) == f"{PLACE}/pr/1"
    assert accepted.location == f"{PLACE}@v2"


def test_the_name_is_the_same_but_for_capitals(hub, bundle):
    with pytest.raises(NameRefused, match="cannot lie at"):
        open_remote("hf://CarolLabs/Other").push(bundle())
    assert parse_location(PLACE).name == NAME
    assert str(parse_location(f"{PLACE}@v1")) == f"{PLACE}@v1"


def folder(home, name):
    made = home / name
    made.mkdir()
    return made
