"""Rows that are made again, and are then what they were."""

from dataclasses import replace

import pytest
from weightpatch.patches.format.patch import Draft, file_record
from weightpatch.patches.requests import EditRequest, dump_requests
from weightpatch.registry.blobs import BlobStore
from weightpatch.registry.database import batches
from weightpatch.registry.database.connections import Database, locate
from weightpatch.registry.versions import derived
from weightpatch.registry.versions.terms import MAX_WORDS

TABLES = ("term", "provenance", "mean")
COLUMNS = {
    "term": "field, term, version_id",
    "provenance": "version_id, method_version, seed, device, hyperparameters, statistics, tools",
    "mean": "evaluation_id, measure, before, after, count",
}


@pytest.fixture
def rows(sql):
    return lambda: {
        table: sorted(sql(f"SELECT {columns} FROM {table}"), key=str)
        for table, columns in COLUMNS.items()
    }


@pytest.fixture
def rebuild(url, home):
    """Make again what is missing, in a transaction of its own."""

    def run() -> int:
        database = Database(locate(url, home))
        with database.writing() as connection:
            made = derived.rebuild(connection, BlobStore(home / "blobs"))
        database.close()
        return made

    return run


@pytest.fixture
def filled(registry, make_draft, make_evaluation):
    """Two versions, one of them evaluated."""
    info = registry.publish(make_draft("acme/a", message="Zażółć gęślą, 3rd", subject="Léon Blum"))
    registry.publish(make_draft("acme/b", author="Grace"))
    registry.record_evaluation(info.digest, "f" * 64, make_evaluation())
    return registry


def test_a_version_comes_with_its_words_subjects_and_provenance(filled, rows):
    found = rows()
    words = {term for field, term, version in found["term"] if (field, version) == ("word", 1)}
    assert " ".join(sorted(words)) == "3rd a acme ada blum english gesla leon rome zazołc"
    assert ("subject", "leon blum", 1) in found["term"]
    assert found["provenance"][0] == (1, "1", 0, "cpu", '{"layer":0}', "[]", '{"numpy":"2"}')
    assert (1, "rome.es", 0.25, 0.875, 2) in found["mean"]


def test_what_is_made_again_is_what_was_there(filled, rows, rebuild, tamper):
    before = rows()
    for table in TABLES:
        tamper(f"DELETE FROM {table}")
    assert rebuild() == 3
    assert rows() == before
    assert rebuild() == 0


def test_words_alone_are_made_again(filled, rows, rebuild, sql):
    before = rows()
    sql("DELETE FROM term WHERE field = 'word' AND version_id = 1")
    assert rebuild() == 1
    assert rows() == before


def test_more_than_one_batch(registry, make_draft, rows, rebuild, tamper, monkeypatch):
    for seed in range(5):
        registry.publish(make_draft(seed=seed))
    before = rows()
    for table in TABLES:
        tamper(f"DELETE FROM {table}")
    monkeypatch.setattr(batches, "SIZE", 2)
    assert rebuild() == 5
    assert rows() == before


def test_a_version_whose_manifest_is_lost_goes_without_provenance(filled, home, rebuild, tamper):
    info = filled.resolve("acme/a")
    (home / "blobs" / "sha256" / info.digest[:2] / info.digest).unlink()
    for table in TABLES:
        tamper(f"DELETE FROM {table}")
    assert rebuild() == 3
    assert filled.provenance("acme/a") is None
    assert filled.provenance("acme/b") is not None
    assert [found.label for found in filled.search("blum")] == ["acme/a@1"]
    assert rebuild() == 0


def test_provenance_is_what_the_manifest_says(filled):
    method = filled.patch("acme/b").manifest.method
    found = filled.provenance("acme/b")
    assert (found.method, found.method_version, found.seed) == ("rome", "1", 0)
    assert (found.hyperparameters, found.tools) == (method.hyperparameters, method.tools)
    assert list(found.statistics) == list(method.statistics)


def test_a_version_of_very_many_requests_is_found_by_each_subject(registry, make_draft, sql):
    draft = make_draft()
    path = draft.folder / "requests.jsonl"
    requests = [EditRequest("{} is", f"Person {i}", "x", id=str(i)) for i in range(10_000)]
    path.write_bytes(dump_requests(requests))
    files = {**draft.manifest.files, "requests.jsonl": file_record(path)}
    info = registry.publish(Draft(replace(draft.manifest, files=files), draft.folder))
    assert [found.label for found in registry.search(subject="person 9999")] == [info.label]
    ((words,),) = sql("SELECT count(*) FROM term WHERE field = 'word'")
    assert 10_000 < words <= MAX_WORDS
