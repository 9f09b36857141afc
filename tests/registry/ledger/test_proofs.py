"""What is carried away from a ledger: proofs that need no registry, and a copy of all entries."""

import io
import json

import pytest
from weightpatch.patches.errors import FormatError, VerificationFailed
from weightpatch.registry.errors import DatabaseFailed, HistoryRewritten, NotFound
from weightpatch.registry.ledger.checkpoints import Checkpoint
from weightpatch.registry.ledger.history import verify_export
from weightpatch.registry.ledger.proofs import read_proof
from weightpatch.registry.registry import Registry


def through_json(proof):
    """The proof as somebody else reads it."""
    return read_proof(json.dumps(proof.to_json()).encode())


def test_every_entry_can_be_proved_at_every_size(registry, make_draft):
    kept = [registry.checkpoint()]
    for seed in range(6):
        registry.publish(make_draft(seed=seed))
        kept.append(registry.checkpoint())
    entries = {entry.seq: entry for entry in registry.log()}
    for tip in kept:
        for seq in range(1, tip.size + 1):
            record = through_json(registry.prove(seq, tip.size)).check(tip)
            assert (record["seq"], record["action"]) == (seq, entries[seq].action)
        for old in kept[: tip.size]:
            through_json(registry.prove_growth(old.size, tip.size)).check(old, tip)


def test_without_a_size_a_proof_is_about_all_entries(history):
    tip = history.checkpoint()
    assert history.prove(2).check(tip)["action"] == "version.push"
    assert history.prove_growth(2).checkpoint == tip


def test_what_is_not_there_cannot_be_proved(history, subtests):
    for seq, size in ((0, None), (6, None), (4, 3), (1, 6), (1, 0)):
        with subtests.test(seq=seq, size=size):
            with pytest.raises(NotFound):
                history.prove(seq, size)
            with pytest.raises(NotFound):
                history.prove_growth(seq or 9, size or 8)


def test_a_proof_is_compared_with_the_checkpoint_and_not_with_itself(history):
    tip = history.checkpoint()
    proof = history.prove(4)
    with pytest.raises(VerificationFailed, match="5 entries, the checkpoint about 4"):
        proof.check(Checkpoint(tip.origin, 4, tip.root))
    with pytest.raises(VerificationFailed, match="the checkpoint about weightpatch/0"):
        proof.check(Checkpoint("weightpatch/" + "0" * 16, 5, tip.root))
    with pytest.raises(HistoryRewritten):
        proof.check(Checkpoint(tip.origin, 5, bytes(32)))
    with pytest.raises(HistoryRewritten):
        history.prove_growth(3).check(Checkpoint(tip.origin, 3, bytes(32)), tip)


def test_a_forged_proof_does_not_hold(history):
    tip, document = history.checkpoint(), history.prove(4).to_json()
    old = history.prove_growth(3).old
    growth = history.prove_growth(3).to_json()
    forged = [
        {**document, "body": document["body"].replace('"ada"', '"eve"')},
        {**document, "index": 2},
        {**document, "path": document["path"][:-1]},
        {**document, "path": document["path"][::-1]},
    ]
    for one in forged:
        with pytest.raises(VerificationFailed):
            read_proof(json.dumps(one).encode()).check(tip)
    with pytest.raises(VerificationFailed):
        read_proof(json.dumps({**growth, "path": growth["path"][:-1]}).encode()).check(old, tip)


def test_a_proof_from_a_rewritten_history_does_not_hold(disarmed, sql):
    tip, old = disarmed.checkpoint(), disarmed.prove_growth(3).old
    sql("DELETE FROM ledger WHERE seq = 5")
    sql("UPDATE ledger SET body = ? WHERE seq = 2", b"{}")
    with pytest.raises(VerificationFailed):
        disarmed.prove(2).check(tip)
    with pytest.raises(HistoryRewritten):
        disarmed.prove_growth(3).check(old, disarmed.checkpoint())


HOSTILE = {
    "nothing": b"",
    "not JSON": b"{",
    "a list": b"[]",
    "another schema": b'{"schema": "weightpatch.list/1"}',
    "huge": b"{" + b" " * (1 << 20) + b"}",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=list(HOSTILE))
def test_what_is_no_proof_is_refused(data):
    with pytest.raises(FormatError, match="not a proof"):
        read_proof(data)


WRONG_FIELDS = (
    {"index": -1},
    {"index": "4"},
    {"index": True},
    {"index": 1.5},
    {"size": 0},
    {"size": 10**16},
    {"root": "AB" * 32},
    {"root": None},
    {"origin": "weightpatch/0\n5"},
    {"origin": 5},
    {"body": None},
    {"path": "00" * 32},
    {"path": ["00"]},
    {"path": ["00" * 32] * 129},
    {"more": 1},
)


def test_a_proof_with_a_field_that_cannot_be_is_refused(history, subtests):
    proof = history.prove(4).to_json()
    assert read_proof(json.dumps(proof).encode())
    for change in WRONG_FIELDS:
        with subtests.test(**change), pytest.raises(FormatError):
            read_proof(json.dumps({**proof, **change}).encode())


def exported(registry) -> bytes:
    return b"".join(registry.export_ledger())


def test_an_exported_ledger_verifies_by_itself(history):
    tip, data = history.checkpoint(), exported(history)
    report = verify_export(io.BytesIO(data), [tip])
    assert (report.ok, report.sound, report.root) == (True, 5, tip.root.hex())
    first = json.loads(data.splitlines()[0])
    assert list(first) == ["body", "entry_hash", "prev_hash", "seq"]
    assert json.loads(first["body"])["action"] == "registry.create"


def test_a_changed_export_is_found(history):
    tip, lines = history.checkpoint(), exported(history).splitlines(keepends=True)

    def verified(*chosen: bytes):
        return verify_export(io.BytesIO(b"".join(chosen)), [tip])

    assert verified(*lines[:2], *lines[3:]).broken == 3
    assert verified(*lines[1:]).broken == 1
    assert verified(lines[1], lines[0], *lines[2:]).broken == 1
    assert verified(lines[0], lines[1].replace(b'"ada', b'"eve'), *lines[2:]).broken == 2
    assert verified().broken == 1
    assert verified(*lines[:4]).rewritten == (5,)


def test_every_byte_of_an_export_matters(history):
    data = exported(history)
    place = data.index(b'"seq":3')
    for index in range(data.rindex(b"\n", 0, place) + 1, place + len(b'"seq":3}\n')):
        changed = bytearray(data)
        changed[index] ^= 1
        assert first_bad_line(changed) == 3, index


def first_bad_line(data: bytes) -> int | None:
    try:
        return verify_export(io.BytesIO(data)).broken
    except FormatError as error:
        return int(error.message.split()[1])


def test_what_is_no_export_is_refused(history):
    line = exported(history).splitlines()[0]
    for bad in (b"x", b"[]", b"{}", b" " + line, line + b" ", b"\xff", b"[" * 10**6, line):
        with pytest.raises(FormatError, match="line 1 "):
            verify_export(io.BytesIO(bad))


def test_a_ledger_with_a_gap_gives_no_checkpoint(disarmed, sql):
    sql("DELETE FROM ledger WHERE seq = 3")
    with pytest.raises(DatabaseFailed, match="entry 3"):
        disarmed.checkpoint()
    sql("DELETE FROM ledger")
    with pytest.raises(DatabaseFailed, match="no entries"):
        disarmed.checkpoint()


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_what_is_no_text_cannot_be_exported(disarmed, sql):
    sql("UPDATE ledger SET body = x'ff' WHERE seq = 2")
    with pytest.raises(DatabaseFailed, match="entry 2"):
        exported(disarmed)


def test_both_databases_give_the_same_history_the_same_hashes(
    migrated_postgresql, tmp_path, make_draft, clock
):
    times = [clock() for _ in range(20)]
    tips, heads = [], []
    for name, url in [
        ("sqlite", None),
        ("postgresql", migrated_postgresql.render_as_string(hide_password=False)),
    ]:
        ticks = iter(times)
        with Registry.create(
            url,
            home=tmp_path / name,
            actor="ada",
            now=lambda ticks=ticks: next(ticks),
            identity="x",
        ) as registry:
            for seed in range(3):
                registry.publish(make_draft(seed=seed, message="naïve \u2028 \U0001f40d"))
            registry.move_alias("acme/tongues@stable", "acme/tongues@2", reason="good")
            registry.yank("acme/tongues@1", reason="bad", severity="minor")
            tips.append(str(registry.checkpoint()))
            heads.append(registry.verify_ledger().head)
    assert tips[0] == tips[1]
    assert heads[0] == heads[1]
