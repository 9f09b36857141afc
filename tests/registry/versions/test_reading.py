"""Versions as lists show them."""

from dataclasses import replace

import pytest
from weightpatch.patches.format.patch import Draft, file_record
from weightpatch.patches.requests import EditRequest, dump_requests
from weightpatch.registry.errors import NotFound


def test_the_last_that_came_in_is_first(registry, make_draft):
    for seed in range(3):
        registry.publish(make_draft("acme/a", seed=seed))
    registry.publish(make_draft("acme/b"))
    labels = ["acme/b@1", "acme/a@3", "acme/a@2", "acme/a@1"]
    assert [info.label for info in registry.versions()] == labels
    assert [info.label for info in registry.versions(name="acme/a")] == labels[1:]


def test_pages_join_without_gap_or_overlap(registry, make_draft):
    for seed in range(5):
        registry.publish(make_draft(seed=seed))
    found, page = [], registry.versions(limit=2)
    while page:
        found += page
        page = registry.versions(limit=2, before=page[-1].digest)
    assert found == registry.versions()
    assert len(found) == 5


def test_a_page_below_an_unknown_version(registry):
    with pytest.raises(NotFound):
        registry.versions(before="0" * 64)


def test_of_one_patch_the_highest_number_is_first(registry, make_patch):
    for number in (3, 1, 2):
        registry.admit(make_patch("acme/a", number, seed=number))
    registry.admit(make_patch("acme/b"))
    numbers = [info.version for info in registry.versions(name="acme/a")]
    assert numbers == [3, 2, 1]
    page = registry.versions(name="acme/a", limit=1)
    rest = registry.versions(name="acme/a", before=page[0].digest)
    assert [info.version for info in rest] == [2, 1]


def test_a_page_below_a_version_of_another_patch(registry, make_draft):
    registry.publish(make_draft("acme/a"))
    other = registry.publish(make_draft("acme/b"))
    with pytest.raises(NotFound):
        registry.versions(name="acme/a", before=other.digest)


@pytest.mark.parametrize("digest", ["", "\x00", "\udcff", "' OR 1=1 --", "A" * 64])
def test_what_is_no_digest_is_no_version(registry, digest):
    with pytest.raises(NotFound):
        registry.versions(before=digest)


def test_subjects_are_the_first_few(registry, make_draft):
    draft = make_draft()
    path = draft.folder / "requests.jsonl"
    requests = [EditRequest("{} is", f"subject {i}", "x", id=str(i)) for i in range(20)]
    path.write_bytes(dump_requests(requests))
    files = {**draft.manifest.files, "requests.jsonl": file_record(path)}
    info = registry.publish(Draft(replace(draft.manifest, files=files), draft.folder))
    assert info.requests == 20
    assert info.subjects == tuple(f"subject {i}" for i in range(5))


def test_of_a_deleted_version_nothing_is_shown_that_people_wrote(registry, make_draft):
    info = registry.publish(make_draft(message="a secret", parents=("e" * 64,)))
    deleted = registry.delete(info.label, reason="published by mistake")
    assert (deleted.message, deleted.subjects, deleted.requests) == ("", (), 1)
    child = registry.publish(make_draft("acme/child", parents=(info.digest,)))
    assert registry.lineage(child.label).versions[info.digest] == deleted
    restored = registry.restore(info.label, reason="it was no secret")
    assert (restored.message, restored.subjects) == ("a secret", info.subjects)


@pytest.mark.parametrize("table", ["request", "version_base", "operation"])
def test_a_version_without_some_of_its_rows_is_still_listed(
    registry, make_draft, sql, dialect, table
):
    info = registry.publish(make_draft())
    if dialect == "sqlite":
        sql(f"DROP TRIGGER {table}_refuse_delete")
    else:
        sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    sql(f"DELETE FROM {table}")
    (found,) = registry.versions()
    assert registry.resolve(info.label) == found
    assert found.digest == info.digest
    assert 0 in (found.requests, len(found.bases), found.tensors)
