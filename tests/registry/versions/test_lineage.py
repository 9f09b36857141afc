"""What a version was made from, and what was made from it."""

import pytest
from weightpatch.registry.errors import NotFound
from weightpatch.registry.versions.lineage import Edge


@pytest.fixture
def family(registry, make_draft):
    """Grandparent, two parents of one child, a grandchild; a version that supersedes a parent."""

    def publish(name, seed, **relatives):
        info = registry.publish(make_draft(f"acme/{name}", seed=seed, **relatives))
        return info.digest

    digests = {"grandparent": publish("grandparent", 1)}
    digests["one"] = publish("one", 2, parents=(digests["grandparent"], "e" * 64))
    digests["two"] = publish("two", 3, parents=(digests["grandparent"],))
    digests["child"] = publish("child", 4, parents=(digests["one"], digests["two"]))
    digests["grandchild"] = publish("grandchild", 5, parents=(digests["child"],))
    digests["instead"] = publish("instead", 6, supersedes=digests["one"])
    return digests


def names(lineage, digests):
    return [lineage.versions[d].name.removeprefix("acme/") for d in digests]


def test_both_directions_nearest_first(registry, family):
    found = registry.lineage("acme/child")
    assert found.of == family["child"]
    assert found.ancestors == (family["one"], family["two"], family["grandparent"], "e" * 64)
    assert names(found, found.descendants) == ["grandchild"]
    assert Edge(family["child"], family["one"], "parent") in found.edges
    assert len(found.edges) == len(set(found.edges)) == 6
    assert found.complete


def test_what_is_not_here_is_kept_as_a_digest(registry, family):
    found = registry.lineage("acme/one")
    assert "e" * 64 in found.ancestors
    assert "e" * 64 not in found.versions


def test_superseding_is_a_relation_too(registry, family):
    below = registry.lineage("acme/one")
    assert Edge(family["instead"], family["one"], "supersedes") in below.edges
    assert names(below, below.descendants) == ["child", "instead", "grandchild"]
    above = registry.lineage("acme/instead@1")
    assert names(above, above.ancestors[:2]) == ["one", "grandparent"]


def test_it_is_bounded(registry, family):
    found = registry.lineage("acme/grandparent", limit=2)
    assert names(found, found.descendants) == ["one", "two"]
    assert not found.complete
    assert registry.lineage("acme/grandparent", limit=5).complete


def test_many_children(registry, make_draft):
    first = registry.publish(make_draft("acme/first"))
    for seed in range(5):
        registry.publish(make_draft("acme/many", seed=seed + 1, parents=(first.digest,)))
    found = registry.lineage("acme/first", limit=3)
    assert len(found.descendants) == 3
    assert not found.complete


def test_it_says_so_when_it_did_not_read_all_edges(registry, make_patch):
    shared = tuple(sorted(str(i) * 64 for i in range(4)))
    children = [
        registry.admit(make_patch(f"acme/{name}", seed=seed, parents=parents)).digest
        for seed, (name, parents) in enumerate(
            [*((name, shared) for name in ("one", "two", "three", "four")), ("five", ("e" * 64,))]
        )
    ]
    registry.admit(make_patch("acme/top", seed=9, parents=tuple(sorted(children))))
    found = registry.lineage("acme/top", limit=10)
    assert "e" * 64 not in found.ancestors
    assert not found.complete
    found = registry.lineage("acme/top", limit=1_000)
    assert "e" * 64 in found.ancestors
    assert found.complete


@pytest.mark.parametrize("limit", [0, -5])
def test_of_a_limit_that_lets_nothing_through(registry, family, limit):
    found = registry.lineage("acme/child", limit=limit)
    assert (found.ancestors, found.descendants, found.complete) == ((), (), False)


def test_rows_that_form_a_circle_end(registry, family, sql):
    ((row,),) = sql("SELECT id FROM version WHERE digest = ?", family["grandparent"])
    sql("INSERT INTO version_parent VALUES (?, 0, ?)", row, family["grandchild"])
    found = registry.lineage("acme/child")
    assert set(found.ancestors) | {found.of} >= set(family.values()) - {family["instead"]}
    assert found.complete


def test_deleted_and_yanked_relatives_stay(registry, family):
    registry.yank("acme/one@1", reason="wrong")
    registry.delete("acme/two@1", reason="worse")
    found = registry.lineage("acme/child")
    assert found.versions[family["one"]].standing.state == "yanked"
    assert found.versions[family["two"]].standing.state == "deleted"


def test_of_an_unknown_version(registry):
    with pytest.raises(NotFound):
        registry.lineage("acme/nobody")
