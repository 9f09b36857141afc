"""The doctor finds what differs between database, ledger and blobs, and mends what can be."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from weightpatch.registry.blobs import BlobStore
from weightpatch.registry.database import triggers
from weightpatch.registry.registry import Registry
from weightpatch.registry.upkeep import garbage
from weightpatch.registry.upkeep.findings import Severity

HARMLESS, LOST, TAMPERED = Severity


@pytest.fixture
def version(registry, make_draft, make_evaluation):
    """A version with a score, in the registry."""
    info = registry.publish(make_draft())
    registry.record_evaluation(info.digest, info.digest, make_evaluation())
    return info


def kinds(findings) -> list[str]:
    return [finding.kind for finding in findings]


def blob(registry: Registry, reference: str, name: str = "delta.safetensors"):
    path = registry.patch(reference).files[name]
    path.chmod(0o644)
    return path


def test_a_sound_registry_has_no_findings(registry, version):
    assert registry.examine() == []
    assert registry.examine(full=True) == []
    mending = registry.mend(full=True)
    assert (mending.mended, mending.left) == ((), ())
    assert registry.log(limit=1)[0].action == "version.evaluate"


def test_a_lost_blob_is_named_with_its_version(registry, version):
    blob(registry, version.label).unlink()
    (finding,) = registry.examine()
    assert (finding.kind, finding.severity, finding.mendable) == ("blob-missing", LOST, False)
    assert finding.what == "acme/tongues@1 delta.safetensors is missing"
    assert "pull" in finding.hint


def test_a_cut_blob_is_set_aside_and_publishing_again_puts_it_back(
    registry, version, make_draft, home
):
    blob(registry, version.label).write_bytes(b"cut")
    (finding,) = registry.examine()
    assert (finding.kind, finding.severity) == ("blob-damaged", LOST)
    mending = registry.mend()
    assert kinds(mending.mended) == ["blob-damaged"]
    assert kinds(mending.left) == ["blob-missing", "blob-aside"]
    assert registry.publish(make_draft()).is_new is False
    registry.collect(grace=timedelta(), dry_run=False)
    (kept,) = registry.examine(full=True)
    assert (kept.kind, kept.severity) == ("blob-aside", HARMLESS)
    assert [path.read_bytes() for path in (home / "blobs" / "damaged").iterdir()] == [b"cut"]


def change(registry, version) -> Path:
    """Give the delta of a version other bytes of the same number."""
    path = blob(registry, version.label)
    path.write_bytes(b"x" * path.stat().st_size)
    return path


def meanwhile(monkeypatch, act) -> None:
    """Let somebody do something between the examination and the mending."""
    settle = garbage.settle_trash
    monkeypatch.setattr(garbage, "settle_trash", lambda store: (act(), settle(store))[1])


def test_a_blob_that_was_put_back_meanwhile_stays(registry, version, make_draft, monkeypatch):
    path = change(registry, version)
    meanwhile(monkeypatch, lambda: registry.publish(make_draft()))
    before = registry.log()
    mending = registry.mend(full=True)
    assert (kinds(mending.mended), mending.left) == (["blob-damaged"], ())
    assert path.is_file()
    assert registry.log() == before


def test_a_damaged_blob_that_vanished_meanwhile_is_missing(registry, version, monkeypatch):
    meanwhile(monkeypatch, change(registry, version).unlink)
    assert kinds(registry.mend(full=True).left) == ["blob-missing"]


def test_other_bytes_of_the_same_size_are_found_in_full(registry, version):
    path = blob(registry, version.label)
    path.write_bytes(b"x" * path.stat().st_size)
    assert registry.examine() == []
    told = []
    (finding,) = registry.examine(full=True, progress=lambda *each: told.append(each))
    assert (finding.kind, finding.digest) == ("blob-damaged", path.name)
    assert ("hashing", 4, 4) in told


def test_a_lost_attestation_is_found(registry, version):
    registry.evaluations(version.digest)[0].path.unlink()
    assert [finding.what for finding in registry.examine()] == [
        "acme/tongues@1 attestation is missing"
    ]


def test_orphans_are_a_note_for_the_collector(registry, version, home):
    BlobStore(home / "blobs").put_bytes(b"left by a crash")
    (finding,) = registry.mend().left
    assert (finding.kind, finding.severity) == ("blob-orphan", HARMLESS)
    assert finding.what == "1 blob that nothing refers to, 15 bytes in all"
    assert "gc" in finding.hint


def test_partial_files_of_dead_processes_are_swept(registry, version, home):
    folder = blob(registry, version.label).parent
    (folder / ".partial-999999999-0").write_bytes(b"half")
    (finding,) = registry.examine()
    assert (finding.kind, finding.severity) == ("partial-file", HARMLESS)
    assert kinds(registry.mend().mended) == ["partial-file"]
    assert registry.examine() == []


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_the_copy_of_a_killed_upgrade_is_swept(registry, version, home):
    for name in ("registry.db.partial-0", "registry.db.partial-0-journal", "registry.db.mine"):
        (home / name).touch()
    (finding,) = registry.examine()
    assert finding.what == "2 files of a process that is gone"
    assert registry.mend().left == ()
    assert sorted(path.name for path in home.glob("registry.db.*")) == ["registry.db.mine"]


def test_a_mending_stands_in_the_ledger(registry, version):
    blob(registry, version.label).write_bytes(b"cut")
    registry.mend()
    entry = registry.log(limit=1)[0]
    assert (entry.action, entry.detail) == ("registry.mend", {"mended": {"blob-damaged": 1}})


def test_dropped_triggers_are_found_and_made_again(registry, version):
    with registry._store.database.writing() as connection:
        triggers.remove(connection)
    (finding,) = registry.examine()
    assert (finding.kind, finding.severity) == ("trigger-missing", TAMPERED)
    assert kinds(registry.mend().mended) == ["trigger-missing"]
    assert registry.examine() == []
    assert registry.verify_ledger().ok


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("UPDATE version SET message = 'a quiet change'", "version"),
        ("UPDATE version SET author = 'eve'", "version"),
        ("UPDATE version SET method = 'ft'", "version"),
        ("UPDATE version SET created = '2020-01-01T00:00:00Z'", "version"),
        ("UPDATE version SET licence = NULL", "version"),
        ("UPDATE version SET number = 7", "version"),
        ("UPDATE patch SET name = 'other'", "version"),
        ("UPDATE version SET supersedes = digest", "version"),
        ("UPDATE version SET content = digest", "version"),
        ("UPDATE version SET delta_size = 1", "version"),
        ("UPDATE request SET target = 'Klingon'", "request"),
        ("DELETE FROM request", "request"),
        ("UPDATE operation SET norm = 0", "operation"),
        ("UPDATE version_tensor SET before = after", "version_tensor"),
        ("UPDATE version_base SET name = 'other'", "version_base"),
        ("UPDATE version_file SET path = 'other' WHERE path = 'requests.jsonl'", "version_file"),
        ("UPDATE provenance SET seed = 7", "provenance"),
        ("UPDATE provenance SET hyperparameters = '{}'", "provenance"),
        ("UPDATE term SET term = 'klingon' WHERE term = 'english'", "term"),
        ("DELETE FROM term WHERE term = 'english'", "term"),
        ("INSERT INTO term VALUES ('word', 'klingon', 1)", "term"),
    ],
)
def test_an_edited_row_is_found_in_full(registry, version, tamper, statement, table):
    tamper(statement)
    edited = [finding for finding in registry.examine(full=True) if finding.kind == "row-edited"]
    (finding,) = edited
    assert finding.severity == TAMPERED
    assert finding.what.endswith(f"are not what its files say: {table}")
    assert not finding.mendable


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE evaluation SET suite = 'kind'",
        "UPDATE score SET after = 1",
        "UPDATE mean SET after = 1",
        "DELETE FROM mean WHERE measure = 'rome.es'",
        "INSERT INTO mean VALUES (1, 'portability', NULL, 1, 9)",
    ],
)
def test_an_edited_score_is_found_in_full(registry, version, tamper, statement):
    tamper(statement)
    assert kinds(registry.examine(full=True)) == ["row-edited"]


def test_a_version_with_another_digest_is_not_in_the_ledger(registry, version, tamper):
    tamper("UPDATE version SET digest = ?", "0" * 64)
    found = [each for each in registry.examine() if each.kind.startswith("version-")]
    assert {(each.kind, each.severity) for each in found} == {
        ("version-unrecorded", TAMPERED),
        ("version-lost", TAMPERED),
    }


def test_an_evaluation_with_another_digest_is_not_in_the_ledger(registry, version, tamper):
    (digest,) = [info.digest for info in registry.evaluations(version.digest)]
    tamper("UPDATE evaluation SET digest = ?", version.digest)
    assert {(each.kind, each.digest) for each in registry.examine()} >= {
        ("evaluation-unrecorded", version.digest),
        ("evaluation-lost", digest),
    }


def test_a_forged_standing_is_found(registry, version, sql):
    sql(
        "INSERT INTO standing (seq, version_id, state, severity, reason) "
        "SELECT 2, id, 'yanked', 'major', 'out of spite' FROM version"
    )
    (finding,) = registry.examine()
    assert (finding.kind, finding.severity) == ("ledger-broken", TAMPERED)
    assert "standing" in finding.what


@pytest.mark.parametrize("verb", ["yank", "delete"])
def test_what_happens_to_versions_is_no_finding(registry, version, verb):
    getattr(registry, verb)(version.label, reason="wrong")
    registry.restore(version.label, reason="right after all")
    registry.move_alias("acme/tongues@stable", "acme/tongues@1", reason="tested")
    assert registry.examine(full=True) == []


def test_a_changed_entry_is_found(registry, version, tamper):
    tamper("UPDATE ledger SET actor = 'eve' WHERE seq = 2")
    (finding,) = registry.examine()
    assert (finding.kind, finding.severity) == ("ledger-broken", TAMPERED)
    assert "entry 2" in finding.what


def test_a_counter_that_went_back_is_moved_on(registry, version, make_draft, tamper):
    tamper("UPDATE patch SET next_version = 1")
    (finding,) = registry.examine()
    assert (finding.kind, finding.severity) == ("counter-behind", TAMPERED)
    assert registry.mend().left == ()
    assert registry.publish(make_draft(seed=1)).version == 2


@pytest.mark.parametrize("table", ["term", "provenance", "mean"])
def test_derived_rows_are_made_again(registry, version, sql, tamper, table):
    before = sql(f"SELECT * FROM {table}")
    tamper(f"DELETE FROM {table}")
    (finding,) = registry.examine(full=True)
    assert (finding.kind, finding.severity, finding.mendable) == ("derived-missing", LOST, True)
    assert registry.mend().left == ()
    assert sorted(map(repr, sql(f"SELECT * FROM {table}"))) == sorted(map(repr, before))


def test_provenance_whose_file_is_lost_is_made_after_pulling_again(
    registry, version, tamper, make_draft
):
    tamper("DELETE FROM provenance")
    path = registry.patch(version.label).files["patch.json"]
    manifest = path.read_bytes()
    path.unlink()
    before = registry.log()
    mending = registry.mend()
    assert mending.mended == ()
    assert kinds(mending.left) == ["derived-missing", "blob-missing"]
    assert not mending.left[0].mendable
    assert "pull" in mending.left[0].hint
    assert registry.log() == before

    path.write_bytes(manifest)
    mending = registry.mend(full=True)
    assert (kinds(mending.mended), mending.left) == (["derived-missing"], ())


def test_provenance_of_a_deleted_version_is_not_missed(registry, version, tamper):
    registry.delete(version.label, reason="private data")
    tamper("DELETE FROM provenance")
    assert kinds(registry.examine()) == ["blob-deleted"]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO base_tensor VALUES (1, 'evil', 'F32', '[1]', {digest})",
        "UPDATE base_tensor SET sha256 = {digest}",
        "UPDATE base_tensor SET shape = 'nonsense'",
        "DELETE FROM base_tensor",
    ],
)
def test_an_edited_base_is_found_in_full(registry, version, make_draft, tamper, statement):
    base = registry.note_base(make_draft().manifest.bases[0], location="/models/pico")
    tamper(statement.format(digest=f"'{'a' * 64}'"))
    assert registry.examine() == []
    (finding,) = registry.examine(full=True)
    assert (finding.kind, finding.severity) == ("row-edited", TAMPERED)
    assert finding.digest == base.fingerprint


def test_a_place_that_everybody_can_write_to_is_noted(registry, version, home):
    (home / "blobs").chmod(0o777)
    (finding,) = registry.examine()
    assert (finding.kind, finding.severity) == ("world-writable", HARMLESS)


def test_blobs_that_are_all_gone_are_found(registry, version, home):
    (home / "blobs").rename(home / "elsewhere")
    assert set(kinds(registry.examine())) == {"folder-missing", "blob-missing"}


def test_facts_tell_where_and_how_large_and_no_secret(registry, version, home, dialect):
    facts = registry.facts()
    assert (facts.patches, facts.versions, facts.evaluations, facts.blobs) == (1, 1, 1, 4)
    assert facts.entries == 3
    assert facts.database_bytes > 0
    assert facts.server.startswith(dialect)
    assert facts.blobs_folder == home / "blobs"


def test_a_finding_is_made_of_what_json_knows(registry, version):
    blob(registry, version.label).unlink()
    assert json.loads(json.dumps([vars(finding) for finding in registry.examine()]))
