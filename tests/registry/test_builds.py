"""Builds as the registry remembers them, and how much it asks the database for a page."""

import pytest
from sqlalchemy import event
from weightpatch.patches.errors import InputError, LimitExceeded
from weightpatch.registry.errors import NotFound
from weightpatch.registry.registry import Subject


@pytest.fixture
def two(registry, make_draft):
    return [registry.publish(make_draft(name)) for name in ("acme/one", "acme/two")]


def build(registry, versions, location="/builds/fixed", base="pico"):
    return registry.record_build(location, base, [one.subject for one in versions])


def test_a_build_is_found_under_each_of_its_versions(registry, two):
    made = build(registry, two)
    assert (made.location, made.base, made.who) == ("/builds/fixed", "pico", "ada")
    assert made.versions == tuple(one.digest for one in two)
    alone = build(registry, two[:1], "/builds/other")
    assert registry.builds("acme/one") == [alone, made]
    assert registry.builds("acme/two@1") == [made]
    assert registry.builds("acme/one", limit=1) == [alone]
    with pytest.raises(NotFound):
        registry.builds("acme/three")


def test_the_log_of_each_version_has_the_build(registry, two):
    made = build(registry, two)
    for one in two:
        entry = registry.log(reference=one.label)[0]
        assert (entry.action, entry.digest) == ("build.apply", one.digest)
        assert entry.detail.items() >= {"base": "pico", "out": "/builds/fixed"}.items()
    last, before = registry.log(limit=2)
    assert last.seq == made.seq
    assert last.detail["versions"] == [[one.label, one.digest] for one in two]
    assert "versions" not in before.detail


def test_a_version_that_is_not_here_can_be_in_a_build(registry, two):
    made = registry.record_build(
        "/builds/x", "pico", [Subject("acme/far@1", "f" * 64), two[0].subject]
    )
    assert registry.builds("acme/one") == [made]
    assert "f" * 64 in made.versions


def test_two_versions_of_one_label_are_two(registry, two):
    other = Subject("acme/one@1", "f" * 64)
    made = registry.record_build("/builds/x", "pico", [two[0].subject, other])
    assert made.versions == (two[0].digest, "f" * 64)
    assert registry.verify_ledger().ok


def test_a_version_of_a_build_has_a_digest(registry):
    with pytest.raises(ValueError, match="each with its digest"):
        registry.record_build("/builds/x", "pico", [Subject("acme/one@1")])


def test_a_folder_is_only_text(registry, two):
    evil = "/builds/'); DELETE FROM build; --\x1b[2J"
    assert build(registry, two, evil).location == evil
    assert build(registry, two, "/builds/\udcff").location == "/builds/\\udcff"
    before = registry.log()
    for location, base, error in [
        ("x" * 1_000_000, "pico", LimitExceeded),
        ("/x", "b" * 1_000_000, LimitExceeded),
        ("nul\x00", "pico", InputError),
    ]:
        with pytest.raises(error):
            build(registry, two, location, base)
    with pytest.raises(ValueError, match="a version at least"):
        build(registry, [])
    assert registry.log() == before


def test_a_page_costs_the_same_however_many_versions_it_has(registry, make_draft):
    counts = []
    event.listen(
        registry._store.database.engine, "before_cursor_execute", lambda *_: counts.append(1)
    )
    asked = []
    for seed in range(3):
        info = registry.publish(make_draft(seed=seed))
        registry.move_alias(f"{info.name}@at{seed}", info.label)
        registry.yank(info.label, reason="x", severity="malicious")
        counts.clear()
        assert len(registry.versions()) == seed + 1
        asked.append(len(counts))
    assert len(set(asked)) == 1


def test_the_longest_place_of_any_script_is_stored(registry, make_draft):
    info = registry.publish(make_draft())
    place = "/" + "".join(chr(0x20000 + 7 * number) for number in range(649))
    registry.record_build(place, "pico", [info.subject])
    registry.record_transfer(info.digest, "push", place, place=place, revision=None)
    registry.note_base(make_draft().manifest.bases[0], location=place)
    assert registry.builds(info.label)[0].location == place
    with pytest.raises(LimitExceeded):
        registry.record_build(f"{place}x", "pico", [info.subject])


def test_a_page_has_neither_less_than_nothing_nor_an_end_beyond_numbers(registry, make_draft):
    info = registry.publish(make_draft())
    registry.record_build("/out", "pico", [info.subject])
    registry.move_alias("acme/tongues@stable", info.label)
    for verb in (registry.builds, registry.transfers, registry.alias_moves):
        assert verb("acme/tongues", limit=-1) == []
    assert registry.log(limit=-1) == registry.log(before=-1) == registry.versions(limit=-1) == []
    assert registry.log(before=2**70) == registry.log()
    assert registry.alias_moves("acme/tongues", before=2**70, limit=2**70)


def test_a_revert_is_in_the_log_of_each_version(registry, make_draft):
    info = registry.publish(make_draft())
    registry.record_revert(info.label, info.digest, "/out")
    entry = registry.log(reference=info.label, limit=1)[0]
    assert (entry.action, entry.detail) == ("build.revert", {"out": "/out"})
