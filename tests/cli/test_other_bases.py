"""A patch with versions for two bases: errors name the one that fits, and show says the origin."""

from dataclasses import replace

import pytest
from weightpatch.patches.composition.compose import Blend, compose
from weightpatch.patches.draft import Origin
from weightpatch.patches.format.patch import Draft
from weightpatch.patches.rebasing.carry import carry
from weightpatch.registry.registry import Registry

ORIGIN = Origin("acme/one", author="ada", created="2026-01-31T12:00:00Z")


@pytest.fixture
def wide(pico):
    return pico.base("wide", dtype="F32")


@pytest.fixture
def rebased(stocked, pico, wide, tmp_path):
    """The stocked desk, with acme/one@2 carried over to `wide`."""
    (tmp_path / "carried").mkdir()
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        registry.publish(carry(tmp_path / "carried", registry.patch("acme/one"), wide, ORIGIN))
    return stocked


def test_the_version_for_the_given_base_is_named(rebased, tmp_path):
    base, out = rebased.base.path, tmp_path / "out"
    told = rebased.fails(1, "E_BASE", "apply", "acme/one", "--base", base, "--out", out)
    assert "acme/one@2 was made for another base" in told
    assert "next: acme/one@1 is for this base" in told
    rebased.ok("apply", "acme/one@1", "--base", base, "--out", out)


def test_without_one_the_hint_is_as_ever(rebased, pico, tmp_path):
    other = pico.base("other", seed=9).path
    told = rebased.fails(
        1, "E_BASE", "apply", "acme/one", "--base", other, "--out", tmp_path / "out"
    )
    assert "weightpatch show acme/one@2" in told


def test_of_two_patches_the_version_on_the_base_of_the_other_is_named(rebased, wide, tmp_path):
    rebased.ok("apply", "acme/one", "--base", wide.path, "--out", tmp_path / "first")
    rebased.ok("apply", "acme/two", "--base", rebased.base.path, "--out", tmp_path / "second")
    told = rebased.fails(
        1, "E_BASE", "apply", "acme/one", "acme/two", "--allow-conflicts", "--out", tmp_path / "out"
    )
    assert "next: acme/one@1 is for the base of acme/two@1" in told
    told = rebased.fails(
        1, "E_BASE", "apply", "acme/two", "acme/one", "--allow-conflicts", "--out", tmp_path / "out"
    )
    assert "next: acme/one@1 is for the base of acme/two@1" in told


def test_show_and_lineage_say_that_a_version_was_rebased(rebased):
    page = rebased.ok("show", "acme/one@2")
    lines = [line.split(maxsplit=1) for line in page.splitlines() if line]
    assert ["rebased", "acme/one@1 (base), carried over"] in lines
    assert ["parents", "acme/one@1"] in lines
    first, second = rebased.ok("lineage", "acme/one@2").splitlines()
    assert first.endswith("rome on base")
    assert second.endswith("rome on wide, carried over  <- this")
    nodes = rebased.json("lineage", "acme/one@2")["nodes"]
    assert [(one["method"], one["rebased"]) for one in nodes] == [
        ("rome", "carried over"),
        ("rome", None),
    ]


def test_what_was_made_again_says_what_it_lacks(rebased, tmp_path, pico):
    record = {"how": "again", "from": "0" * 64, "left": {"layer": 3}}
    patch = pico.patch(pico.base("far", seed=4), "acme/far")
    pico.rewrite(patch, method=replace(patch.manifest.method, sampled={"rebase": record}))
    page = rebased.ok("show", patch.files["patch.json"].parent)
    assert f"sha256:{'0' * 12}, made again, without its layer" in page
    pico.rewrite(patch, method=replace(patch.manifest.method, sampled={"rebase": [1]}))
    assert "rebased" not in rebased.ok("show", patch.files["patch.json"].parent)


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ((), {"acme/one@1", "acme/two@1"}),
        ((1, -0.5), {"1 \u00d7 acme/one@1", "-0.5 \u00d7 acme/two@1"}),
    ],
)
def test_show_names_the_members_of_a_composition(stocked, tmp_path, weights, told):
    (tmp_path / "both").mkdir()
    origin = replace(ORIGIN, name="acme/both")
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        patches = [registry.patch("acme/one"), registry.patch("acme/two")]
        blend = Blend(weights=weights)
        draft = compose(stocked.base, patches, tmp_path / "both", origin, {}, blend)
        assert isinstance(draft, Draft)
        registry.publish(draft)
    page = stocked.ok("show", "acme/both")
    rows = dict(line.split(maxsplit=1) for line in page.splitlines() if line.count(" ") > 1)
    assert set(rows["members"].split(", ")) == told
    assert set(rows["parents"].split(", ")) == {"acme/one@1", "acme/two@1"}
    assert "weights" not in rows["settings"]


def test_show_of_many_tensors_is_short_and_in_order(desk, pico):
    names = [f"model.layers.{number}.mlp.down_proj.weight" for number in range(12)]
    tensors = {**pico.tensors(), **dict.fromkeys(names, pico.tensors()[pico.DOWN])}
    operations = {name: [pico.lowrank((6, 10))] for name in names[:11]}
    operations[names[11]] = [pico.replaced((6, 10))]
    patch = pico.patch(pico.base_of(tensors, "deep"), "acme/deep", operations=operations)
    folder = patch.files["patch.json"].parent
    page = desk.ok("show", folder)
    shown = [line.split()[0] for line in page.splitlines() if line.startswith("model.layers.")]
    assert shown == names[:10]
    assert "… and 2 more; --json has them" in page
    assert len(desk.json("show", folder)["manifest"]["operations"]) == 12


def test_show_gives_no_norm_of_new_values(desk, listed):
    page = desk.ok("show", listed)
    (row,) = [line.split() for line in page.splitlines() if " replace " in line]
    assert row[1:] == ["replace", "4", "values", "-", "-"]
