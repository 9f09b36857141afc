"""Applying on top of a build: what all patches together give, byte for byte, or a refusal."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pico_fixtures import Pico
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.builds.plan import needed
from weightpatch.patches.builds.record import read_record
from weightpatch.patches.builds.revert import revert
from weightpatch.patches.builds.verify import verify
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import (
    BaseMismatch,
    ConflictFound,
    DigestMismatch,
    VerificationFailed,
)
from weightpatch.patches.format.patch import Patch


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.fixture(params=[1, 3], ids=["one file", "three shards"])
def base(pico, request) -> Checkpoint:
    return pico.base(shards=request.param)


def on(pico, build: Path, patches: list[Patch], base: Checkpoint | None = None) -> Path:
    """Apply patches on top of a build."""
    apply(Checkpoint.open(build), patches, pico.root / "on-top", base=base)
    return pico.root / "on-top"


def lists(pico, base: Checkpoint, count: int = 3) -> list[Patch]:
    """Patches that list the entries they change: two tensors, on one of which they all meet."""
    found = []
    for seed in range(count):
        terms = {pico.DOWN: [pico.sparse((6, 10), count=9, seed=seed)]}
        if seed == 1:
            terms[pico.UP] = [pico.replaced((10, 6), seed=seed)]
        found.append(pico.patch(base, f"acme/listed{seed}", operations=terms))
    return found


def changes_all(pico, base: Checkpoint, count: int = 3) -> list[Patch]:
    """Patches that change every entry of tensors on which they meet."""
    return [
        pico.patch(
            base,
            f"acme/all{seed}",
            operations={
                pico.DOWN: [pico.lowrank((6, 10), rank=2, seed=seed)],
                (pico.UP, pico.NORM)[seed % 2]: [pico.dense(((10, 6), (6,))[seed % 2], seed=seed)],
            },
        )
        for seed in range(count)
    ]


@pytest.mark.parametrize("make", [lists, changes_all])
@pytest.mark.parametrize("below", [1, 2])
def test_it_is_the_build_of_all_patches_together(
    pico, base: Checkpoint, make: Callable[..., list[Patch]], below: int
):
    patches = make(pico, base)
    build = pico.built(base, patches[:below])
    top = on(pico, build, patches, base)
    assert contents(top) == contents(pico.built(base, patches, "together"))
    assert verify(top) == []


def test_the_build_alone_will_do_where_entries_are_listed(pico, base: Checkpoint):
    patches = lists(pico, base)
    build = pico.built(base, patches[:2])
    top = on(pico, build, patches)
    assert contents(top) == contents(pico.built(base, patches, "together"))


def test_the_build_alone_will_do_where_patches_do_not_meet(pico, base: Checkpoint):
    one, other = (
        pico.patch(base, f"acme/{name.split('.')[-2]}", operations={name: [pico.lowrank(shape)]})
        for name, shape in ((pico.DOWN, (6, 10)), (pico.UP, (10, 6)))
    )
    top = on(pico, pico.built(base, [one]), [other])
    assert contents(top) == contents(pico.built(base, [one, other], "together"))


def test_the_base_is_asked_for_where_it_is_needed(pico, base: Checkpoint):
    patches = changes_all(pico, base)
    build = pico.built(base, patches[:1])
    before = names(pico.root)
    with pytest.raises(BaseMismatch, match="cannot be restored") as refusal:
        on(pico, build, patches)
    assert "--original" in str(refusal.value.hint)
    assert names(pico.root) == before


def test_another_base_is_refused(pico, base: Checkpoint):
    patches = changes_all(pico, base)
    with pytest.raises(BaseMismatch, match="not the base of this build"):
        on(pico, pico.built(base, patches[:1]), patches, pico.base("other", seed=1))


def test_a_patch_of_the_build_that_is_not_at_hand_is_named(pico, base: Checkpoint):
    patches = lists(pico, base)
    build = pico.built(base, patches[:2])
    with pytest.raises(ConflictFound, match=r"acme/listed0@1, which is in .* changes the same"):
        on(pico, build, patches[1:])


def test_patches_that_do_not_meet_the_new_one_need_not_be_at_hand(pico, base: Checkpoint):
    below = pico.patch(base, operations={pico.UP: [pico.sparse((10, 6))]})
    new = pico.patch(base, "acme/two", operations={pico.DOWN: [pico.sparse((6, 10))]})
    build = pico.built(base, [below])
    assert needed(read_record(build), [new]) == []
    top = on(pico, build, [new])
    assert contents(top) == contents(pico.built(base, [below, new], "together"))


def test_patches_that_are_there_already_are_refused(pico, base: Checkpoint):
    patches = lists(pico, base)
    build = pico.built(base, patches)
    with pytest.raises(ConflictFound, match="already"):
        on(pico, build, patches[:1])


def test_a_composition_is_not_put_on_its_member(pico, base: Checkpoint):
    patches = lists(pico, base)
    both = pico.composed(base, patches[:2], "acme/both")
    build = pico.built(base, patches[:1])
    with pytest.raises(ConflictFound, match="hold the same delta"):
        on(pico, build, [both, patches[0]])


def test_a_replaced_entry_of_the_build_admits_no_second_operation(pico, base: Checkpoint):
    one, other = (
        pico.patch(base, f"acme/{kind}", operations={pico.DOWN: [getattr(pico, kind)((6, 10))]})
        for kind in ("replaced", "sparse")
    )
    with pytest.raises(ConflictFound, match="replaced and changed"):
        on(pico, pico.built(base, [one]), [one, other])


@pytest.mark.parametrize("where", ["tensor", "tokenizer.json", "weightpatch.undo"])
def test_a_build_that_was_changed_is_refused(pico, base: Checkpoint, where: str):
    patches = lists(pico, base)
    build = pico.built(base, patches[:2])
    info = Checkpoint.open(build).tensors[pico.DOWN]
    file, position = (info.file, info.start) if where == "tensor" else (build / where, -1)
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)
    before = names(pico.root)
    with pytest.raises(VerificationFailed, match="is not what was recorded"):
        on(pico, build, patches)
    assert names(pico.root) == before


def test_a_build_that_changes_while_it_is_read_is_refused(pico, base: Checkpoint):
    patches = lists(pico, base)
    build = pico.built(base, patches[:1])
    info = Checkpoint.open(build).tensors[pico.UP]

    def change(_phase: str, done: int, _total: int | None) -> None:
        if not done:
            with info.file.open("r+b") as file:
                file.seek(info.start)
                file.write(b"\1\2")

    before = names(pico.root)
    with pytest.raises(DigestMismatch):
        apply(Checkpoint.open(build), patches, pico.root / "on-top", progress=change)
    assert names(pico.root) == before


def test_the_base_of_a_build_that_changes_while_it_is_read_is_refused(pico, base: Checkpoint):
    patches = changes_all(pico, base)
    build = pico.built(base, patches[:1])
    info = base.tensors[pico.DOWN]

    def change(_phase: str, done: int, _total: int | None) -> None:
        if not done:
            with info.file.open("r+b") as file:
                file.seek(info.start)
                file.write(b"\1\2")

    with pytest.raises(DigestMismatch):
        apply(Checkpoint.open(build), patches, pico.root / "top", base=base, progress=change)
    assert not (pico.root / "top").exists()


def test_what_was_put_on_top_can_be_reverted_at_once(pico, base: Checkpoint):
    patches = lists(pico, base)
    top = on(pico, pico.built(base, patches[:1]), patches)
    revert(top)
    assert contents(top) == contents(base.path)


def test_a_tied_copy_in_the_build_is_no_reason_to_ask_for_the_base(pico):
    tensors = pico.tensors()
    base = pico.base_of({**tensors, "lm_head.weight": tensors[pico.EMBEDDING]}, "tied")
    one = pico.patch(base, operations={pico.EMBEDDING: [pico.lowrank((5, 6))]})
    other = pico.patch(base, "acme/two", operations={pico.DOWN: [pico.lowrank((6, 10))]})
    top = on(pico, pico.built(base, [one]), [other])
    assert contents(top) == contents(pico.built(base, [one, other], "together"))


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_the_way_to_a_set_of_patches_does_not_matter(tmp_path_factory, data: st.DataObject):
    pico = Pico(tmp_path_factory.mktemp("pico"))
    base = pico.base(dtype=data.draw(st.sampled_from(["F32", "F16", "BF16"])))
    shapes = {pico.DOWN: (6, 10), pico.UP: (10, 6)}
    patches = [
        pico.patch(
            base,
            f"acme/p{number}",
            operations={
                name: [getattr(pico, kind)(shapes[name], seed=number)]
                for name, kind in data.draw(
                    st.dictionaries(
                        st.sampled_from(sorted(shapes)),
                        st.sampled_from(["lowrank", "dense", "sparse"]),
                        min_size=1,
                    )
                ).items()
            },
        )
        for number in range(data.draw(st.integers(2, 4)))
    ]
    together = contents(pico.built(base, patches, "together"))
    order = data.draw(st.permutations(patches))
    place = pico.built(base, order[:1], "p1")
    for count in range(2, len(order) + 1):
        apply(Checkpoint.open(place), order[:count], pico.root / f"p{count}", base=base)
        place = pico.root / f"p{count}"
    assert contents(place) == together
