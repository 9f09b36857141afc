"""Every change of a ledger's past shows: in the chain itself, or in a checkpoint that was kept."""

import hashlib
import json

import pytest
from weightpatch.registry.errors import DatabaseFailed
from weightpatch.registry.ledger.checkpoints import Checkpoint
from weightpatch.registry.registry import Registry

COLUMNS = [
    "seq",
    "prev_hash",
    "entry_hash",
    "body",
    "time",
    "actor",
    "action",
    "label",
    "patch",
    "digest",
]


def flipped(value: object, index: int) -> object:
    if isinstance(value, int):
        return value ^ (1 << index)
    data = bytearray(value if isinstance(value, bytes) else str(value).encode())
    data[index] ^= 1
    return bytes(data) if isinstance(value, bytes) else data.decode()


@pytest.mark.parametrize("column", COLUMNS)
def test_every_flipped_byte_is_found(disarmed, sql, column):
    ((value,),) = sql(f"SELECT {column} FROM ledger WHERE seq = 4")
    length = 8 if isinstance(value, int) else len(value)
    for index in range(length):
        sql(f"UPDATE ledger SET {column} = ? WHERE place = 4", flipped(value, index))
        report = disarmed.verify_ledger()
        assert report.broken in (1, 4), f"byte {index}"  # a number flipped down comes first
        sql(f"UPDATE ledger SET {column} = ? WHERE place = 4", value)
    assert disarmed.verify_ledger().broken is None


@pytest.mark.parametrize("column", COLUMNS)
def test_a_value_of_another_kind_is_found(disarmed, sql, dialect, column):
    numbers, blobs, texts = (0, -4, 2**40), (b"", b"\xff"), ("", "[]", "null")
    if dialect == "sqlite":  # where any column holds anything
        others = (*numbers, *blobs, *texts, 1.5)
    elif column == "seq":
        others = numbers
    else:
        others = blobs if column in COLUMNS[1:4] else texts
    for value in (None, *others):
        sql(f"UPDATE ledger SET {column} = ? WHERE place = 4", value)
        assert disarmed.verify_ledger().broken is not None, value


@pytest.mark.parametrize("seq", [1, 3, 4])
def test_a_deleted_row_is_found(disarmed, sql, seq):
    sql("DELETE FROM ledger WHERE seq = ?", seq)
    report = disarmed.verify_ledger()
    assert (report.broken, report.sound) == (seq, seq - 1)
    assert "missing" in report.flaw


def test_two_swapped_rows_are_found(disarmed, sql):
    sql("UPDATE ledger SET seq = CASE seq WHEN 3 THEN 4 WHEN 4 THEN 3 ELSE seq END")
    assert disarmed.verify_ledger().broken == 3


def test_two_swapped_bodies_are_found(disarmed, sql):
    sql(
        "UPDATE ledger AS a SET body = (SELECT body FROM ledger AS b WHERE b.seq = 7 - a.seq) "
        "WHERE seq IN (3, 4)"
    )
    assert disarmed.verify_ledger().broken == 3


def test_a_body_that_is_not_ours_under_a_right_hash_is_found(disarmed, sql):
    ((previous,),) = sql("SELECT entry_hash FROM ledger WHERE seq = 5")
    for body in (b"\xff", b"[]", b"{}", b'{"seq": 6, "subject": 1}'):
        leaf = hashlib.sha256(b"\x00" + body).digest()
        entry = hashlib.sha256(previous + leaf).digest()
        sql(
            "INSERT INTO ledger (seq, prev_hash, entry_hash, body) VALUES (6, ?, ?, ?)",
            previous,
            entry,
            body,
        )
        assert disarmed.verify_ledger().broken == 6
        with pytest.raises(DatabaseFailed, match="cannot be read"):
            disarmed.log()
        sql("DELETE FROM ledger WHERE seq = 6")


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("column", COLUMNS[1:])
def test_the_same_bytes_as_another_type_are_found(disarmed, sql, column):
    kind = "TEXT" if column in COLUMNS[1:4] else "BLOB"
    sql(f"UPDATE ledger SET {column} = CAST({column} AS {kind}) WHERE place = 4")
    assert disarmed.verify_ledger().broken == 4


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("column", COLUMNS[4:])
def test_a_text_that_is_not_utf_8_is_found(disarmed, sql, column):
    sql(f"UPDATE ledger SET {column} = CAST(x'ff' AS TEXT) WHERE place = 4")
    assert disarmed.verify_ledger().broken == 4


def test_a_report_says_where_the_ledger_stands(history):
    report, tip = history.verify_ledger(), history.checkpoint()
    assert (report.ok, report.sound) == (True, tip.size)
    assert (report.origin, report.root) == (tip.origin, tip.root.hex())
    assert report.head == history.log()[0].entry_hash


def test_a_ledger_continues_all_its_own_checkpoints(registry, make_draft):
    kept = [registry.checkpoint()]
    for seed in range(9):
        registry.publish(make_draft(seed=seed))
        kept.append(registry.checkpoint())
    assert [one.size for one in kept] == list(range(1, 11))
    report = registry.verify_ledger(kept)
    assert (report.ok, report.rewritten) == (True, ())


def test_a_cut_tail_is_found_by_a_checkpoint_alone(disarmed, sql):
    kept = disarmed.checkpoint()
    sql("DELETE FROM ledger WHERE seq = 5")
    assert disarmed.verify_ledger().broken is None
    report = disarmed.verify_ledger([kept])
    assert (report.ok, report.broken, report.rewritten) == (False, None, (5,))
    assert "the last 1 are gone" in report.flaw


def rewrite(sql, first: int, actor: str) -> None:
    """Give the entries from `first` on another actor, and hashes that fit."""
    ((previous,),) = sql("SELECT prev_hash FROM ledger WHERE seq = ?", first)
    for seq, body in sql("SELECT seq, body FROM ledger WHERE seq >= ? ORDER BY seq", first):
        record = {**json.loads(body), "actor": actor}
        new = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
        entry = hashlib.sha256(previous + hashlib.sha256(b"\x00" + new).digest()).digest()
        sql(
            "UPDATE ledger SET prev_hash = ?, entry_hash = ?, body = ?, actor = ? WHERE seq = ?",
            previous,
            entry,
            new,
            actor,
            seq,
        )
        previous = entry


def test_a_history_made_anew_from_some_entry_on_is_found_by_a_checkpoint_alone(disarmed, sql):
    kept = disarmed.checkpoint()
    rewrite(sql, 3, "eve")
    assert disarmed.verify_ledger().broken is None
    report = disarmed.verify_ledger([kept])
    assert (report.ok, report.broken, report.rewritten) == (False, None, (5,))
    assert "the first 5 entries are not those" in report.flaw


def test_a_whole_chain_made_anew_is_found_by_a_checkpoint_alone(disarmed, sql):
    kept = disarmed.checkpoint()
    rewrite(sql, 1, "eve")
    assert disarmed.verify_ledger().broken is None
    report = disarmed.verify_ledger([kept])
    assert report.rewritten == (5,)
    assert "entry 1 is not that of" in report.flaw


def test_a_checkpoint_before_the_change_finds_nothing_and_one_after_it_all(disarmed, sql):
    rows = sql("SELECT seq, body FROM ledger ORDER BY seq")
    kept = disarmed.checkpoint()
    rewrite(sql, 4, "eve")
    early = Checkpoint(kept.origin, 3, root_of_bodies(body for seq, body in rows if seq <= 3))
    assert disarmed.verify_ledger([early]).rewritten == ()
    assert disarmed.verify_ledger([early, kept]).rewritten == (5,)


def root_of_bodies(bodies) -> bytes:
    one, two, three = (hashlib.sha256(b"\x00" + body).digest() for body in bodies)
    left = hashlib.sha256(b"\x01" + one + two).digest()
    return hashlib.sha256(b"\x01" + left + three).digest()


def test_two_registries_made_in_one_second_are_told_apart(tmp_path, clock):
    frozen = clock()
    tips = []
    for name in ("one", "two"):
        with Registry.create(home=tmp_path / name, actor="ada", now=lambda: frozen) as other:
            tips.append(other.checkpoint())
    assert tips[0].origin != tips[1].origin
