"""Which compositions hold a version, and the builds that it came into through them."""

from dataclasses import replace

import pytest


@pytest.fixture
def nested(registry, make_draft):
    """acme/one, acme/both made from it, acme/all made from that, and a remake without its delta."""
    one = registry.publish(make_draft("acme/one", seed=1))
    delta = registry.patch("acme/one").manifest.files["delta.safetensors"].sha256

    def publish(name, seed, parent, source):
        draft = make_draft(name, seed=seed, parents=(parent,))
        operations = {
            tensor: tuple(replace(record, source=source) for record in records)
            for tensor, records in draft.manifest.operations.items()
        }
        return registry.publish(
            replace(draft, manifest=replace(draft.manifest, operations=operations))
        )

    both = publish("acme/both", 2, one.digest, delta)
    every = publish("acme/all", 3, both.digest, delta)
    publish("acme/remake", 4, one.digest, None)
    return {"one": one, "both": both, "all": every}


def test_compositions_hold_it_also_through_others_but_a_remake_does_not(registry, nested):
    assert [info.label for info in registry.holders("acme/one")] == ["acme/all@1", "acme/both@1"]
    assert [info.label for info in registry.holders("acme/both")] == ["acme/all@1"]
    assert registry.holders("acme/all") == []


def test_a_build_of_a_composition_is_a_build_of_what_it_holds(registry, nested):
    registry.record_build("/b/all", "pico", [nested["all"].subject])
    registry.record_build("/b/one", "pico", [nested["one"].subject])
    found = [(build.location, build.through) for build in registry.builds("acme/one")]
    assert found == [("/b/one", ()), ("/b/all", ("acme/all@1",))]
    assert len(registry.builds("acme/one", limit=1)) == 1


def test_what_is_malicious_in_it_is_named(registry, nested):
    assert registry.malicious([nested["all"].digest]) == []
    registry.yank("acme/one@1", reason="a back door", severity="malicious")
    (found,) = registry.malicious([nested["all"].digest])
    assert (found.label, found.digest) == ("acme/one@1", nested["one"].digest)
    assert (found.standing.who, found.standing.reason) == ("ada", "a back door")
