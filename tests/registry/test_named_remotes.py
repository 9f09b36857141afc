"""Names of remotes: what they mean, who gave them, and what a user's text means."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from weightpatch.patches.errors import (
    InputError,
    LimitExceeded,
    NameRefused,
    PathRefused,
    PluginMissing,
    TargetExists,
)
from weightpatch.registry.errors import NotFound
from weightpatch.registry.sharing.exchange import pull, push
from weightpatch.registry.sharing.outdated import Newer, outdated
from weightpatch.registry.sharing.seen import usual_remote


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch) -> Path:
    """The folder that paths are relative to, with a folder in it."""
    folder = tmp_path / "work"
    (folder / "drive").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_a_name_means_the_place_that_it_was_given_to(registry, reopen, workplace):
    named = registry.add_remote("team", "./drive")
    assert (named.name, named.location) == ("team", str(workplace / "drive"))
    assert (named.who, named.is_new) == ("ada", True)
    assert registry.remote_at("team") == named.location
    with reopen("bob") as other:
        other.add_remote("default", "hf://acme/capitals")
        assert [(one.name, one.who) for one in other.remotes()] == [
            ("default", "bob"),
            ("team", "ada"),
        ]
    entries = registry.log(action="remote.name")
    assert [(entry.seq, entry.time, entry.subject) for entry in entries] == [
        (one.seq, one.when, one.name) for one in registry.remotes()
    ]
    assert entries[1].detail == {"name": "team", "location": named.location}
    assert registry.examine(full=True) == []


def test_the_same_again_writes_nothing_and_another_place_is_refused(registry, workplace):
    named = registry.add_remote("team", "drive")
    before = registry.log()
    known = replace(named, is_new=False)
    assert registry.add_remote("team", str(workplace / "drive")) == known
    with pytest.raises(TargetExists, match="drive already") as caught:
        registry.add_remote("team", "hf://")
    assert "weightpatch remote remove team" in caught.value.hint
    assert registry.log() == before
    assert registry.remotes() == [known]


def test_a_name_taken_away_is_free_again_and_its_past_stays(registry, sql):
    first = registry.add_remote("team", "/one")
    assert registry.remove_remote("team").seq == first.seq
    assert registry.remotes() == []
    with pytest.raises(NotFound):
        registry.remove_remote("team")
    second = registry.add_remote("team", "/two")
    assert registry.remote_at("team") == "/two"
    rows = sql("SELECT name, location FROM remote_name ORDER BY seq")
    assert rows == [("team", "/one"), ("team", None), ("team", "/two")]
    assert [entry.seq for entry in registry.log(action="remote.name")] == [
        second.seq,
        second.seq - 1,
        first.seq,
    ]
    assert registry.verify_ledger().ok


@pytest.mark.parametrize("name", ["a", "0", "team-2", "a-", "a" * 39])
def test_what_can_name_a_remote(registry, name):
    registry.add_remote(name, "/drive")
    assert registry.remote_at(name) == "/drive"


@pytest.mark.parametrize(
    "name",
    ["", "-a", "A", "a b", "a.b", "a/b", "a_b", "hf://", "~", "é", "a" * 40, "a\n", "'; DROP--"],
)
def test_what_cannot_name_a_remote(registry, name):
    with pytest.raises(NameRefused, match="cannot name a remote"):
        registry.add_remote(name, "/drive")
    assert registry.remotes() == []


@pytest.mark.parametrize(
    ("location", "error", "hint"),
    [
        ("", NameRefused, "write hf://"),
        ("hf://capitals", NameRefused, "write NAMESPACE/NAME"),
        ("hf://acme/capitals@v1", NameRefused, "write hf://acme/capitals"),
        ("hf://acme/capitals/pr/7", NameRefused, "weightpatch review hf://acme/capitals/pr/7"),
        ("hf:/acme/capitals", NameRefused, "write hf://acme/capitals"),
        ("HF://acme/capitals", NameRefused, "hf://"),
        ("first", NameRefused, "./first"),
        ("nowhere", NameRefused, "./drive"),
        ("ftp://acme", PluginMissing, "the path of a folder as it is"),
        ("folder:///drive", PluginMissing, "the path of a folder as it is"),
        ("hub://acme/capitals", PluginMissing, "hf://namespace/name"),
        ("~nobody-of-this-name/drive", PathRefused, None),
        ("/" + "x" * 650, LimitExceeded, None),
        ("/\udcff", InputError, None),
    ],
)
def test_what_is_no_place_of_a_remote(registry, location, error, hint):
    registry.add_remote("first", "/one")
    with pytest.raises(error) as caught:
        registry.add_remote("second", location)
    assert hint is None or hint in caught.value.hint
    assert [named.name for named in registry.remotes()] == ["first"]


@pytest.mark.parametrize(
    "text",
    ["hf://", "hf://acme/x@v1", "./team", "team/", "/team", "a/b", "..", ".", "~", "~/x", "c:\\x"],
)
def test_a_place_means_itself(registry, text):
    registry.add_remote("team", "/drive")
    assert registry.remote_at(text) == text


def test_one_word_is_a_name_else_a_folder_that_is_there(registry, workplace):
    assert registry.remote_at("drive") == "drive"
    registry.add_remote("drive", "/elsewhere")
    assert registry.remote_at("drive") == "/elsewhere"
    (workplace / "a file").touch()
    for text in ("a file", "nowhere", "drive@v1", "hf:"):
        with pytest.raises(NotFound, match="no remote is called"):
            registry.remote_at(text)


def test_an_unknown_name_brings_up_what_is_there(registry):
    with pytest.raises(NotFound) as caught:
        registry.remote_at("team")
    assert caught.value.hint.startswith("weightpatch remote add team hf://")
    assert "./team for a folder" in caught.value.hint
    assert "no remote has a name yet" in caught.value.why

    registry.add_remote("team", "/drive")
    for verb in (registry.remote_at, registry.remove_remote):
        with pytest.raises(NotFound, match="'Taem'") as caught:
            verb("Taem")
        assert caught.value.hint.startswith("did you mean team?")
        assert caught.value.why == "the remotes: team"
    with pytest.raises(NotFound, match="no remote is called"):
        registry.remove_remote("'; DROP TABLE remote_name; --\x1b[2J")


def test_of_people_who_name_at_once_all_mean_the_same_place_in_the_end(registry, reopen):
    """Four want one place, four another: one of the two it is, and the others are told."""

    def name(number: int) -> str:
        with reopen(f"user-{number}") as mine:
            try:
                return mine.add_remote("team", f"/drive-{number % 2}").location
            except TargetExists:
                return "refused"

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(name, range(8)))
    (named,) = registry.remotes()
    assert sorted(found) == [named.location] * 4 + ["refused"] * 4
    assert len(registry.log(action="remote.name")) == 1
    assert registry.verify_ledger().ok


def test_what_is_recorded_is_the_place_and_not_the_name(registry, make_draft, tmp_path):
    label = registry.publish(make_draft()).label
    registry.add_remote("team", str(tmp_path / "new"))
    push(registry, label, registry.remote_at("team"))
    registry.remove_remote("team")
    registry.add_remote("team", "/elsewhere")
    (transfer,) = registry.transfers(label)
    assert transfer.remote == str(tmp_path / "new")


def test_without_a_remote_the_last_one_is_meant_and_then_the_default(registry, three):
    assert usual_remote(registry, "acme/tongues") is None
    registry.add_remote("default", "hf://")
    usual = usual_remote(registry, "acme/tongues")
    assert (usual.location, usual.why) == ("hf://", "the remote called default")
    pull(registry, "acme/tongues", str(three))
    usual = usual_remote(registry, "acme/tongues")
    assert (usual.location, usual.why) == (str(three), "as last time")


def test_the_default_is_asked_for_what_is_newer_than_a_patch_never_exchanged(
    registry, three, make_patch, make_draft
):
    registry.admit(make_patch("acme/tongues", seed=9))
    registry.publish(make_draft("acme/home"))
    both = ["acme/tongues", "acme/home"]
    assert outdated(registry, both).local == ("acme/home", "acme/tongues")

    registry.add_remote("default", str(three))
    found = outdated(registry, both)
    assert found.newer == (Newer("acme/tongues", 1, 3, str(three)),)
    assert (found.local, found.unanswered, found.asked) == (("acme/home",), (), 1)
    assert outdated(registry).asked == 0
