"""alias: names that move, as a user moves them and asks where they were."""

import pytest


@pytest.fixture
def moved(again):
    """acme/one@stable, which meant version 1 and means version 2."""
    again.ok("alias", "acme/one@1", "stable", "--reason", "passed the gate")
    again.ok("alias", "acme/one@2", "stable", "--expect", "acme/one@1")
    return again


def test_an_alias_moves_and_is_a_reference(again):
    assert "now means acme/one@1" in again.ok("alias", "acme/one@1", "stable")
    assert "already means" in again.ok("alias", "acme/one@1", "stable")
    assert "acme/one@1" in again.ok("show", "acme/one@stable")
    move = again.json("alias", "acme/one", "stable")["move"]
    assert (move["before"], move["after"]) == ("acme/one@1", "acme/one@2")
    out = again.base.path.parent / "fixed"
    said = again.ok("apply", "acme/one@stable", "--base", again.base.path, "--out", out)
    assert "with acme/one@2" in said


def test_the_list_says_who_moved_it_there_and_when(moved):
    page = moved.ok("alias", "acme/one")
    for word in ("stable", "acme/one@2", "tester"):
        assert word in page
    aliases = moved.json("alias", "acme/one@stable")["aliases"]
    assert (aliases["stable"]["version"], aliases["stable"]["who"]) == (2, "tester")
    assert "has no alias" in moved.run("alias", "acme/two").stderr


def test_the_history_says_why(moved):
    page = moved.ok("alias", "acme/one@stable", "--history")
    assert page.index("@2") < page.index("passed the gate")
    first = moved.run("alias", "acme/one", "--history", "--limit", "1")
    assert "passed the gate" not in first.stdout
    rest = moved.run(*first.stderr.strip().removeprefix("more: weightpatch ").split())
    assert ("passed the gate" in rest.stdout, rest.stderr) == (True, "")
    moved.fails(1, "E_NOT_FOUND", "alias", "acme/one@nope", "--history")


def test_the_log_says_which_alias_and_why(moved):
    assert "stable: none → @1: passed the gate" in moved.ok("log", "acme/one")
    assert "no entry says that" in moved.run("log", "--action", "version.delete").stderr
    page = moved.json("log", "--limit", "1")
    assert page["before"] == page["entries"][0]["seq"]
    whole = len(moved.json("log")["entries"])
    assert moved.json("log", "--limit", str(whole))["before"] is None


def test_what_it_meant_then(moved):
    assert "meant nothing" in moved.ok("alias", "acme/one@stable", "--at", "2026-01-01")
    found = moved.json("alias", "acme/one@stable", "--at", "2999-12-31")
    assert (found["time"], found["version"]["version"]) == ("2999-12-31T23:59:59Z", 2)
    moved.fails(1, "E_NOT_FOUND", "alias", "acme/one@never", "--at", "2026-01-01")


def test_two_people_do_not_overrule_each_other_unseen(moved):
    told = moved.fails(1, "E_ALIAS", "alias", "acme/one@2", "stable", "--expect", "none")
    assert "means acme/one@2, not none" in told


def test_taken_away_it_means_nothing(moved):
    assert "is taken away" in moved.ok("alias", "acme/one@stable", "--remove")
    moved.fails(1, "E_NOT_FOUND", "show", "acme/one@stable")


@pytest.mark.parametrize(
    "arguments",
    [
        ("acme/one@1", "stable", "--history"),
        ("acme/one@stable", "--remove", "--at", "2026-01-01"),
        ("acme/one@stable", "--at", "yesterday"),
        ("acme/one", "--reason", "x"),
        ("acme/one@1",),
    ],
)
def test_what_makes_no_sense_together(again, arguments):
    assert again.run("alias", *arguments).returncode == 2


def test_latest_is_not_free(again):
    told = again.fails(1, "E_REFERENCE", "alias", "acme/one@1", "latest")
    assert "a name alone means the newest version" in told
