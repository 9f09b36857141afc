"""Rows about aliases, yanks, builds and remotes must say what their ledger entries say."""

import pytest
from weightpatch.registry.registry import Registry


@pytest.fixture
def life(history, sql) -> Registry:
    """Five entries, then 6, 7: alias moves, 8 yank, 9 restore, 10 push, 11, 12 build, 13 delete.

    In the end 14, 15: a remote named, and its name taken away.
    """
    one, two = history.resolve("acme/tongues@1"), history.resolve("acme/tongues@2")
    history.move_alias("acme/tongues@stable", "acme/tongues@1", reason="first")
    history.move_alias("acme/tongues@stable", "acme/tongues@2", reason="better")
    history.yank("acme/tongues@1", reason="wrong", severity="minor")
    history.restore("acme/tongues@1", reason="not wrong")
    history.record_transfer(one.digest, "push", "/shared", place="/shared/one", revision="abc")
    history.record_build("/builds/one", "pico", [one.subject, two.subject])
    history.delete("acme/tongues@3", reason="never mind")
    history.add_remote("team", "/drive")
    history.remove_remote("team")
    return history


@pytest.fixture
def bare(life, drop_triggers, sql, dialect) -> Registry:
    """The same, with nothing that guards these rows."""
    if dialect == "sqlite":
        found = sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    else:
        found = sql("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")
    drop_triggers(name for (name,) in found)
    return life


def test_what_the_verbs_wrote_agrees(life):
    assert life.verify_ledger().ok
    assert life.log(limit=1)[0].seq == 15


CHANGED = {
    "alias that meant another version": (
        7,
        "UPDATE alias_move SET to_id = (SELECT id FROM version WHERE number = 3) WHERE seq = 7",
    ),
    "alias that came from elsewhere": (7, "UPDATE alias_move SET from_id = NULL WHERE seq = 7"),
    "alias that went nowhere": (7, "UPDATE alias_move SET to_id = NULL WHERE seq = 7"),
    "another alias": (6, "UPDATE alias_move SET name = 'latest' WHERE seq = 6"),
    "alias for another reason": (6, "UPDATE alias_move SET reason = 'second' WHERE seq = 6"),
    "move without a row": (6, "DELETE FROM alias_move WHERE seq = 6"),
    "move under another entry": (3, "UPDATE alias_move SET seq = 3 WHERE seq = 6"),
    "yank of another version": (
        8,
        "UPDATE standing SET version_id = (SELECT id FROM version WHERE number = 2) WHERE seq = 8",
    ),
    "harder yank": (8, "UPDATE standing SET severity = 'malicious' WHERE seq = 8"),
    "yank that is none": (8, "UPDATE standing SET state = 'listed' WHERE seq = 8"),
    "yank for another reason": (8, "UPDATE standing SET reason = 'slow' WHERE seq = 8"),
    "yank without a row": (8, "DELETE FROM standing WHERE seq = 8"),
    "restored no more": (9, "DELETE FROM standing WHERE seq = 9"),
    "push that was a pull": (10, "UPDATE transfer SET direction = 'pull' WHERE seq = 10"),
    "push of another revision": (10, "UPDATE transfer SET revision = 'abd' WHERE seq = 10"),
    "push of another version": (
        10,
        "UPDATE transfer SET version_id = (SELECT id FROM version WHERE number = 2)",
    ),
    "push to another remote": (10, "UPDATE remote SET location = '/elsewhere'"),
    "push without a row": (10, "DELETE FROM transfer"),
    "build elsewhere": (12, "UPDATE build SET location = '/builds/two' WHERE seq = 12"),
    "build of another base": (12, "UPDATE build SET base = 'micro' WHERE seq = 12"),
    "build of another version": (
        12,
        "UPDATE build_version SET digest = (SELECT digest FROM version WHERE number = 3)",
    ),
    "build of one version less": (12, "DELETE FROM build_version WHERE position = 1"),
    "build of one version more": (
        12,
        "INSERT INTO build_version SELECT 12, 2, digest FROM version WHERE number = 3",
    ),
    "build of none": (12, "DELETE FROM build_version"),
    "build in another order": (
        12,
        "UPDATE build_version SET position = 2 WHERE position = 0",
    ),
    "a build that nobody did": (5, "INSERT INTO build SELECT 5, location, base FROM build"),
    "remote elsewhere": (14, "UPDATE remote_name SET location = '/mine' WHERE seq = 14"),
    "another name of a remote": (14, "UPDATE remote_name SET name = 'tam' WHERE seq = 14"),
    "remote without a row": (14, "DELETE FROM remote_name WHERE seq = 14"),
    "remote that is still named": (15, "UPDATE remote_name SET location = '/a' WHERE seq = 15"),
    "a remote that nobody named": (5, "INSERT INTO remote_name VALUES (5, 'team', '/a')"),
    "deleted no more": (13, "DELETE FROM standing WHERE seq = 13"),
    "a yank that nobody did": (
        5,
        "INSERT INTO standing SELECT 5, id, 'yanked', 'minor', 'so' FROM version WHERE number = 2",
    ),
    "a push that nobody did": (
        5,
        "INSERT INTO transfer SELECT 5, remote_id, version_id, direction, NULL FROM transfer",
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_row_that_says_something_else_breaks_its_entry(bare, sql, dialect, case):
    seq, statement = CHANGED[case]
    assert bare.verify_ledger().broken is None
    sql(statement)
    assert bare.verify_ledger().broken == seq


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_build_without_any_row_breaks_its_entry(bare, sql):
    sql("DELETE FROM build_version")
    sql("DELETE FROM build")
    assert bare.verify_ledger().broken == 12


def test_a_version_added_to_a_build_is_found_with_all_triggers_there(life, sql):
    sql("INSERT INTO build_version SELECT 12, 2, digest FROM version WHERE number = 3")
    report = life.verify_ledger()
    assert (report.broken, report.unguarded) == (12, ())
    assert "build_version" in report.flaw


def test_entries_of_schema_0001_have_no_rows(history, enter):
    enter(history, "build.apply", "acme/tongues@1", None, {"base": "pico", "out": "./fixed"})
    enter(history, "version.pull", "acme/tongues@1", None, {"from": "/shared", "revision": None})
    assert history.verify_ledger().ok


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_row_beyond_the_last_entry_is_a_flaw(bare, sql):
    sql("UPDATE standing SET seq = 99 WHERE seq = 13")
    assert bare.verify_ledger().broken == 13
    sql("UPDATE standing SET seq = 13 WHERE seq = 99")
    sql("INSERT INTO standing SELECT 99, version_id, state, severity, reason FROM standing LIMIT 1")
    report = bare.verify_ledger()
    assert (report.ok, report.broken) == (False, None)
    assert "number 99, which no entry has" in report.flaw
