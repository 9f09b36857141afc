"""Aliases: names that move, each move on record, and who moves one when somebody else does."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from weightpatch.patches.errors import InputError, LimitExceeded, NameRefused
from weightpatch.registry.errors import (
    AliasHeld,
    Deleted,
    NotFound,
    ReferenceRefused,
    RegistryError,
    Yanked,
)

STABLE = "acme/tongues@stable"


@pytest.fixture
def three(registry, make_draft):
    """Versions 1 to 3 of acme/tongues."""
    return [registry.publish(make_draft(seed=seed)) for seed in range(3)]


def test_an_alias_means_the_version_that_it_was_moved_to(registry, three):
    move = registry.move_alias(STABLE, "acme/tongues@1", reason="first release")
    assert (move.alias, move.before, move.after) == (STABLE, None, "acme/tongues@1")
    assert (move.who, move.reason, move.is_new) == ("ada", "first release", True)
    assert registry.resolve(STABLE).version == 1
    assert registry.patch(STABLE).digest == three[0].digest

    registry.move_alias(STABLE, "acme/tongues")
    assert registry.resolve(STABLE).version == 3
    registry.move_alias("acme/tongues@beta", STABLE)
    assert registry.resolve("acme/tongues@3").aliases == ("beta", "stable")
    assert registry.resolve("acme/tongues@1").aliases == ()


def test_the_entry_says_from_where_to_where_and_why(registry, three):
    registry.move_alias(STABLE, "acme/tongues@1")
    move = registry.move_alias(STABLE, f"sha256:{three[1].digest}", reason="better")
    entry = registry.log()[0]
    assert (entry.action, entry.seq, entry.time) == ("alias.move", move.seq, move.when)
    assert (entry.subject, entry.digest) == ("acme/tongues@2", three[1].digest)
    assert entry.detail == {
        "alias": STABLE,
        "from": "acme/tongues@1",
        "to": "acme/tongues@2",
        "reason": "better",
    }


def test_an_alias_taken_away_means_nothing_and_keeps_its_history(registry, three):
    registry.move_alias(STABLE, "acme/tongues@1")
    registry.move_alias("acme/tongues@beta", "acme/tongues@2")
    gone = registry.move_alias(STABLE, None, reason="no longer kept")
    assert (gone.before, gone.after) == ("acme/tongues@1", None)
    assert registry.log()[0].subject == "acme/tongues@1"
    assert list(registry.aliases("acme/tongues")) == ["beta"]
    with pytest.raises(NotFound, match="no alias stable") as caught:
        registry.resolve(STABLE)
    assert "beta" in caught.value.why
    assert [move.after for move in registry.alias_moves(STABLE)] == [None, "acme/tongues@1"]


def test_moving_to_where_it_is_already_writes_nothing(registry, three):
    first = registry.move_alias(STABLE, "acme/tongues@2")
    before = registry.log()
    again = registry.move_alias(STABLE, f"sha256:{three[1].digest}", reason="again")
    assert (again.seq, again.reason, again.is_new) == (first.seq, "", False)
    assert registry.log() == before
    registry.move_alias(STABLE, None)
    assert not registry.move_alias(STABLE, None).is_new


def test_what_was_stable_on_a_day(registry, three):
    def at(*time: int):
        found = registry.alias_at(STABLE, datetime(*time, tzinfo=UTC))
        return found and found.label

    moves = [registry.move_alias(STABLE, f"acme/tongues@{number}") for number in (1, 2)]
    moves.append(registry.move_alias(STABLE, None))
    when = [datetime.fromisoformat(move.when) for move in moves]
    assert at(2026, 3, 2) is None
    assert [registry.alias_at(STABLE, time) for time in when] == [
        registry.resolve("acme/tongues@1"),
        registry.resolve("acme/tongues@2"),
        None,
    ]
    assert at(2026, 3, 4) is None
    with pytest.raises(InputError, match="time zone"):
        registry.alias_at(STABLE, datetime(2026, 3, 3))
    with pytest.raises(NotFound):
        registry.alias_at("acme/tongues@never", when[0])


def test_moves_come_in_pages_newest_first(registry, three):
    for number in (1, 2, 3, 1):
        registry.move_alias(STABLE, f"acme/tongues@{number}")
        registry.move_alias("acme/tongues@beta", f"acme/tongues@{number}")
    moves = registry.alias_moves(STABLE)
    assert [move.after[-1] for move in moves] == ["1", "3", "2", "1"]
    page = registry.alias_moves(STABLE, limit=3)
    assert page + registry.alias_moves(STABLE, before=page[-1].seq) == moves
    assert len(registry.alias_moves("acme/tongues")) == 8


NO_ALIASES = (
    "",
    "7",
    "0",
    "latest",
    "Stable",
    "a b",
    "-a",
    "a-",
    "é",
    "a" * 97,
    "a@b",
    "'; DROP x",
)
ALIASES = ("v1", "1.2", "pre-release", "a_b", "2026-03", "a" * 96)


def test_what_cannot_name_an_alias(registry, three, subtests):
    for alias in NO_ALIASES:
        with subtests.test(alias=alias):
            with pytest.raises(ReferenceRefused):
                registry.move_alias(f"acme/tongues@{alias}", "acme/tongues@1")
            with pytest.raises((ReferenceRefused, NotFound)):
                registry.resolve(f"acme/tongues@{alias}")
    assert registry.aliases("acme/tongues") == {}


def test_what_can_name_an_alias(registry, three):
    for alias in ALIASES:
        registry.move_alias(f"acme/tongues@{alias}", "acme/tongues@1")
        assert alias in registry.resolve(f"acme/tongues@{alias}").aliases
    assert set(registry.aliases("acme/tongues")) == set(ALIASES)


def test_an_alias_belongs_to_one_patch(registry, three, make_draft):
    registry.publish(make_draft("acme/other"))
    with pytest.raises(AliasHeld, match="cannot mean acme/other@1"):
        registry.move_alias(STABLE, "acme/other@1")
    for verb in (registry.aliases, registry.alias_moves):
        with pytest.raises(NotFound):
            verb("acme/nothing")
    with pytest.raises(NotFound):
        registry.move_alias("acme/nothing@stable", "acme/other@1")
    for reference in ("acme/tongues", "acme/tongues@1", "sha256:" + "a" * 64):
        with pytest.raises(ReferenceRefused):
            registry.move_alias(reference, "acme/tongues@1")
    with pytest.raises(NotFound):
        registry.move_alias(STABLE, None)
    assert registry.aliases("acme/tongues") == {}


def test_an_alias_never_means_what_was_withdrawn(registry, three):
    registry.yank("acme/tongues@1", reason="wrong")
    registry.delete("acme/tongues@2", reason="wrong")
    with pytest.raises(Yanked, match="acme/tongues@1"):
        registry.move_alias(STABLE, "acme/tongues@1")
    with pytest.raises(Deleted, match="acme/tongues@2"):
        registry.move_alias(STABLE, "acme/tongues@2")


def test_the_second_of_two_people_hears_of_the_first(registry, three, reopen):
    registry.move_alias(STABLE, "acme/tongues@1", expect="none")
    with reopen("bob") as bobs:
        bobs.move_alias(STABLE, "acme/tongues@2", expect="acme/tongues@1")
    with pytest.raises(AliasHeld, match="means acme/tongues@2, not acme/tongues@1"):
        registry.move_alias(STABLE, "acme/tongues@3", expect="acme/tongues@1")
    with pytest.raises(AliasHeld, match="not none"):
        registry.move_alias(STABLE, "acme/tongues@3", expect="none")
    with pytest.raises(AliasHeld, match="means nothing"):
        registry.move_alias("acme/tongues@new", "acme/tongues@3", expect="acme/tongues@1")
    assert [move.who for move in registry.alias_moves(STABLE)] == ["bob", "ada"]


def test_moves_of_eight_threads_form_a_chain(registry, three):
    def move(turn: int):
        return registry.move_alias(STABLE, f"acme/tongues@{turn % 3 + 1}")

    with ThreadPoolExecutor(8) as pool:
        made = [move for move in pool.map(move, range(48)) if move.is_new]
    history = registry.alias_moves(STABLE, limit=1000)[::-1]
    assert [move.before for move in history] == [None, *(move.after for move in history[:-1])]
    assert sorted(move.seq for move in made) == [move.seq for move in history]
    assert registry.verify_ledger().ok


def test_of_eight_who_expect_the_same_one_wins(registry, three):
    registry.move_alias(STABLE, "acme/tongues@1")

    def move(turn: int) -> bool:
        try:
            registry.move_alias(STABLE, f"acme/tongues@{turn % 2 + 2}", expect="acme/tongues@1")
        except AliasHeld:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(move, range(8))) == 1
    assert len(registry.alias_moves(STABLE)) == 2


def test_a_reason_is_only_text(registry, three, sql):
    evil = "'); DELETE FROM alias_move; --\x1b[2J\n\u202e"
    registry.move_alias(STABLE, "acme/tongues@1", reason=evil)
    assert registry.alias_moves(STABLE)[0].reason == evil
    assert sql("SELECT reason FROM alias_move") == [(evil,)]
    for reason, error in [
        ("nul\x00", InputError),
        ("half \udcff", InputError),
        ("x" * 1_000_000, LimitExceeded),
    ]:
        with pytest.raises(error):
            registry.move_alias(STABLE, "acme/tongues@2", reason=reason)
    for text in ("'); DROP TABLE patch; --", "acme/tongues@\udcff", "acme/tongues@\x00"):
        for verb in (registry.aliases, registry.alias_moves):
            with pytest.raises((NameRefused, RegistryError)):
                verb(text)
        with pytest.raises((NameRefused, RegistryError)):
            registry.move_alias(STABLE, "acme/tongues@2", expect=text)
    assert registry.resolve(STABLE).version == 1
