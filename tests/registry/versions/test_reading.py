"""Versions as lists show them."""

from dataclasses import replace

import pytest
from weightpatch.patches.errors import InputError
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


def test_text_is_found_wherever_a_person_wrote_it(registry, make_draft):
    registry.publish(make_draft("acme/a", seed=1, message="100% English"))
    registry.publish(make_draft("acme/b", seed=2, subject="Léon Blum"))
    registry.publish(make_draft("acme/c", seed=3, author="Grace"))

    def found(text: str) -> list[str]:
        return [info.name for info in registry.versions(text=text)]

    assert found("english") == ["acme/a"]
    assert found("Blum") == ["acme/b"]
    assert found("grace") == ["acme/c"]
    assert found("100%") == ["acme/a"]
    assert found("%") == ["acme/a"]
    assert found("_") == []
    assert found("\\") == []


def test_half_a_character_cannot_be_looked_for(registry):
    with pytest.raises(InputError):
        registry.versions(text="\udcff")


def test_subjects_are_the_first_few(registry, make_draft):

    draft = make_draft()
    path = draft.folder / "requests.jsonl"
    requests = [EditRequest("{} is", f"subject {i}", "x", id=str(i)) for i in range(20)]
    path.write_bytes(dump_requests(requests))
    files = {**draft.manifest.files, "requests.jsonl": file_record(path)}
    info = registry.publish(Draft(replace(draft.manifest, files=files), draft.folder))
    assert info.requests == 20
    assert info.subjects == tuple(f"subject {i}" for i in range(5))
