"""lineage, as a user and as a program read it."""

import pytest
from weightpatch.registry.registry import Registry


@pytest.fixture
def family(stocked, pico, tmp_path):
    """The desk with a version composed of the two."""
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        patches = [registry.patch("acme/one"), registry.patch("acme/two")]
        registry.admit(pico.composed(stocked.base, patches, "acme/both"))
    return stocked


def test_parents_stand_above_and_children_below(family):
    lines = family.ok("lineage", "acme/both").splitlines()
    assert sorted(line.split()[0] for line in lines[:2]) == ["acme/one@1", "acme/two@1"]
    assert lines[2].startswith("acme/both@1")
    assert lines[2].endswith("<- this")
    lines = family.ok("lineage", "acme/one").splitlines()
    assert [line.split()[0] for line in lines] == ["acme/one@1", "acme/both@1"]
    assert lines[1].startswith("  ")


def test_each_version_stands_with_its_method_and_base(family):
    lines = family.ok("lineage", "acme/both").splitlines()
    assert all(line.endswith("rome on base") for line in lines[:2])
    assert "compose on base" in lines[2]


def test_as_json_it_is_nodes_and_edges(family):
    document = family.json("lineage", "acme/both")
    assert document["schema"] == "weightpatch.lineage/1"
    versions = {node["digest"]: node["version"] for node in document["nodes"]}
    assert {(versions[edge["child"]], versions[edge["parent"]]) for edge in document["edges"]} == {
        ("acme/both@1", "acme/one@1"),
        ("acme/both@1", "acme/two@1"),
    }
    assert {node["state"] for node in document["nodes"]} == {"listed"}
    assert document["complete"]


def test_as_a_graph(family):
    graph = family.ok("lineage", "acme/both", "--dot")
    assert graph.startswith("digraph lineage {")
    assert graph.count("->") == 2
    assert r'label="acme/one@1\nrome on base"' in graph


def test_it_says_when_there_is_more(family):
    assert "there may be more" in family.run("lineage", "acme/both", "--limit", "1").stderr


def test_of_what_is_not_here(stocked):
    stocked.fails(1, "E_NOT_FOUND", "lineage", "acme/nobody")
