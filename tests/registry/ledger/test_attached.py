"""Rows about aliases, yanks, builds and transfers must say what their ledger entries say."""

import pytest
from weightpatch.registry.registry import Registry


@pytest.fixture
def life(history, sql) -> Registry:
    """Five entries, then 6 and 7: alias moves, 8 yank, 9 restore, 10 push, 11 build, 12 delete."""
    one, two = history.resolve("acme/tongues@1"), history.resolve("acme/tongues@2")
    history.move_alias("acme/tongues@stable", "acme/tongues@1", reason="first")
    history.move_alias("acme/tongues@stable", "acme/tongues@2", reason="better")
    history.yank("acme/tongues@1", reason="wrong", severity="minor")
    history.restore("acme/tongues@1", reason="not wrong")
    history.record_transfer(one.digest, "push", "/shared", place="/shared/one", revision="abc")
    history.record_build("/builds/one", "pico", {two.label: two.digest})
    history.delete("acme/tongues@3", reason="never mind")
    return history


@pytest.fixture
def bare(life, drop_trigger, sql, dialect) -> Registry:
    """The same, with nothing that guards these rows."""
    if dialect == "sqlite":
        found = sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    else:
        found = sql("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")
    for (name,) in found:
        drop_trigger(name)
    return life


def test_what_the_verbs_wrote_agrees(life):
    assert life.verify_ledger().ok
    assert life.log(limit=1)[0].seq == 12


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
    "build elsewhere": (11, "UPDATE build SET location = '/builds/two' WHERE seq = 11"),
    "build of another base": (11, "UPDATE build SET base = 'micro' WHERE seq = 11"),
    "deleted no more": (12, "DELETE FROM standing WHERE seq = 12"),
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
    sql("DELETE FROM build_version")
    assert bare.verify_ledger().broken is None
    sql(statement)
    assert bare.verify_ledger().broken == seq


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_a_row_beyond_the_last_entry_is_a_flaw(bare, sql):
    sql("UPDATE standing SET seq = 99 WHERE seq = 12")
    assert bare.verify_ledger().broken == 12
    sql("UPDATE standing SET seq = 12 WHERE seq = 99")
    sql("INSERT INTO standing SELECT 99, version_id, state, severity, reason FROM standing LIMIT 1")
    report = bare.verify_ledger()
    assert (report.ok, report.broken) == (False, None)
    assert "number 99, which no entry has" in report.flaw


def test_what_changes_a_version_cannot_be_recorded_without_being_done(registry):
    for action in ("version.yank", "version.delete", "version.restore", "alias.move"):
        with pytest.raises(ValueError, match="without being done"):
            registry.record(action, "acme/tongues@1")
