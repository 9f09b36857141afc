"""Builds as the registry remembers them, and how much it asks the database for a page."""

import pytest
from sqlalchemy import event
from weightpatch.patches.errors import InputError, LimitExceeded
from weightpatch.registry.errors import NotFound


@pytest.fixture
def two(registry, make_draft):
    return [registry.publish(make_draft(name)) for name in ("acme/one", "acme/two")]


def build(registry, versions, location="/builds/fixed", base="pico"):
    return registry.record_build(location, base, {one.label: one.digest for one in versions})


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
        assert entry.detail == {
            "base": "pico",
            "out": "/builds/fixed",
            "versions": ["acme/one@1", "acme/two@1"],
        }
    assert registry.log()[0].seq == made.seq


def test_a_version_that_is_not_here_can_be_in_a_build(registry, two):
    made = registry.record_build(
        "/builds/x", "pico", {"acme/far@1": "f" * 64, "acme/one@1": two[0].digest}
    )
    assert registry.builds("acme/one") == [made]
    assert "f" * 64 in made.versions


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
