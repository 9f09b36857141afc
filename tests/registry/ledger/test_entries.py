"""The ledger's entries: what they say, and how they are read back, in pages and by filters."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from weightpatch.patches.errors import InputError, LimitExceeded, ManifestError
from weightpatch.registry.database import triggers
from weightpatch.registry.errors import DatabaseFailed, NotFound


def test_an_entry_says_who_did_what_to_what_when(registry, make_draft):
    info = registry.publish(make_draft("acme/tongues", message="because"))
    entry = registry.log()[0]
    assert (entry.seq, entry.actor, entry.action) == (2, "ada", "version.publish")
    assert (entry.subject, entry.digest) == ("acme/tongues@1", info.digest)
    assert entry.detail == {"author": "ada", "message": "because", "method": "rome"}
    assert entry.time.startswith("2026-03-03T12:00:0")


def test_the_first_entry_is_the_registry_itself(registry):
    (entry,) = registry.log()
    assert (entry.seq, entry.action) == (1, "registry.create")


def test_the_chain_can_be_computed_by_hand(history, sql):
    previous = bytes(32)
    for seq, before, after, body in sql(
        "SELECT seq, prev_hash, entry_hash, body FROM ledger ORDER BY seq"
    ):
        assert json.loads(body)["seq"] == seq
        assert before == previous
        leaf = hashlib.sha256(b"\x00" + body).digest()
        previous = hashlib.sha256(previous + leaf).digest()
        assert after == previous
    report = history.verify_ledger()
    assert (report.ok, report.sound, report.head) == (True, 5, previous.hex())
    assert history.log()[0].entry_hash == report.head


def test_the_log_of_a_patch_and_of_a_version(registry, make_draft, make_evaluation, enter):
    one = registry.publish(make_draft("acme/a", seed=1))
    registry.publish(make_draft("acme/b", seed=2))
    registry.publish(make_draft("acme/a", seed=3))
    registry.record_evaluation(one.digest, "f" * 64, make_evaluation())
    enter(registry, "build.apply", one.label, one.digest, {"out": "./fixed"})

    def seen(reference: str) -> list[tuple[str, str]]:
        return [(entry.action, entry.subject) for entry in registry.log(reference=reference)]

    of_one = [
        ("build.apply", "acme/a@1"),
        ("version.evaluate", "acme/a@1"),
        ("version.publish", "acme/a@1"),
    ]
    assert seen("acme/a@1") == seen(f"sha256:{one.digest}") == of_one
    assert seen("acme/a") == [*of_one[:2], ("version.publish", "acme/a@2"), of_one[2]]
    assert seen("acme/b") == [("version.publish", "acme/b@1")]
    with pytest.raises(NotFound):
        registry.log(reference="acme/c")


def test_pages_of_the_log(history):
    assert [entry.seq for entry in history.log(limit=2)] == [5, 4]
    assert [entry.seq for entry in history.log(limit=2, before=4)] == [3, 2]
    assert [entry.seq for entry in history.log(before=2)] == [1]


@pytest.mark.parametrize("detail", [{"a": float("nan")}, {"a": 2**60}, {"a": {1}}])
def test_a_detail_must_be_json(registry, detail, enter):
    with pytest.raises(ManifestError):
        enter(registry, "version.push", "acme/tongues@1", None, detail)
    assert len(registry.log()) == 1


def test_an_entry_has_a_largest_size(registry, enter):
    for label, detail in [("x" * 513, {}), ("x", {"a": "x" * (256 << 10)})]:
        with pytest.raises(LimitExceeded):
            enter(registry, "version.push", label, None, detail)
    assert len(registry.log()) == 1


def test_a_path_that_is_not_text_is_written_with_backslashes(registry, enter):
    detail = {"from": "/shared/\udcff\udcfe", "all": ["\udcff", 1], "\udcff": None}
    enter(registry, "version.push", "somewhere/\udcff", None, detail)
    entry = registry.log()[0]
    assert entry.subject == "somewhere/\\udcff"
    assert entry.detail == {
        "from": "/shared/\\udcff\\udcfe",
        "all": ["\\udcff", 1],
        "\\udcff": None,
    }
    assert registry.verify_ledger().ok


def seqs(registry, **wanted) -> list[int]:
    return [entry.seq for entry in registry.log(**wanted)]


def test_the_log_of_an_actor_and_of_an_action(history, reopen, make_draft, enter):
    with reopen("eve") as other:
        other.publish(make_draft(seed=9))
        enter(other, "version.push", "elsewhere")
    assert seqs(history, actor="eve") == [7, 6]
    assert seqs(history, action="version.push") == [7, 2]
    assert seqs(history, actor="eve", action="version.push") == [7]
    assert seqs(history, actor="eve", reference="acme/tongues") == [6]
    assert seqs(history, actor="mallory") == []
    assert seqs(history, action="version.publish", limit=2, before=6) == [5, 4]


def test_an_action_that_there_is_not_is_refused(registry):
    with pytest.raises(InputError, match=r"version\.explode"):
        registry.log(action="version.explode")


def test_the_log_between_two_times(history):
    times = {entry.seq: datetime.fromisoformat(entry.time) for entry in history.log()}
    assert seqs(history, since=times[3]) == [5, 4, 3]
    assert seqs(history, until=times[3]) == [3, 2, 1]
    assert seqs(history, since=times[2], until=times[4]) == [4, 3, 2]
    assert seqs(history, since=times[2], until=times[4], before=4, limit=1) == [3]
    assert seqs(history, since=times[5] + timedelta(seconds=1)) == []
    assert seqs(history, since=datetime.min.replace(tzinfo=UTC), until=times[1]) == [1]
    elsewhere = timezone(timedelta(hours=-5))
    assert seqs(history, since=times[5].astimezone(elsewhere)) == [5]
    with pytest.raises(InputError, match="time zone"):
        history.log(since=datetime(2026, 3, 3))


def test_a_clock_that_goes_back_changes_the_order_in_a_span_of_time_alone(registry, reopen, enter):
    for day in (9, 5, 7, 1):
        with reopen(now=lambda day=day: datetime(2026, 4, day, tzinfo=UTC)) as other:
            enter(other, "version.push", f"day {day}")
    assert seqs(registry) == [5, 4, 3, 2, 1]
    assert registry.verify_ledger().ok
    fifth = datetime(2026, 4, 5, tzinfo=UTC)
    assert seqs(registry, since=fifth) == [2, 4, 3]
    assert seqs(registry, since=fifth, before=2, limit=1) == [4]
    assert seqs(registry, until=fifth) == [3, 5, 1]
    assert seqs(registry, until=fifth, limit=2) == [3, 5]
    assert seqs(registry, until=fifth, before=5) == [1]
    assert seqs(registry, until=fifth, actor="ada") == [5, 3, 1]


def test_nothing_is_written_after_a_beginning_that_is_gone(registry, make_draft, sql, dialect):
    for name in triggers.declared(dialect):
        if name.startswith("ledger_"):
            sql(f"DROP TRIGGER {name}{'' if dialect == 'sqlite' else ' ON ledger'}")
    sql("DELETE FROM ledger")
    with pytest.raises(DatabaseFailed, match="does not begin"):
        registry.publish(make_draft())
    assert registry.versions() == []
    assert registry.verify_ledger().broken == 1


def test_two_writers_make_one_chain(registry, reopen, enter):
    def write(actor: str) -> None:
        with reopen(actor) as other:
            for number in range(20):
                enter(other, "version.push", f"{actor} {number}")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, ("ada", "eve")))
    report = registry.verify_ledger()
    assert (report.ok, report.sound) == (True, 41)
    for actor in ("ada", "eve"):
        pushed = registry.log(actor=actor, action="version.push")
        assert [entry.subject for entry in pushed] == [f"{actor} {n}" for n in range(19, -1, -1)]
