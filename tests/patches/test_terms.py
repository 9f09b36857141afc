"""Terms: one order whatever the naming, no delta twice, and nothing beside a replaced entry."""

import numpy as np
import pytest
from weightpatch.patches.errors import ConflictFound
from weightpatch.patches.operations.base import Operation
from weightpatch.patches.operations.replace import Replace
from weightpatch.patches.operations.sparse import Sparse
from weightpatch.patches.operations.widen import Widen
from weightpatch.patches.terms import require_compatible, sum_of

SHAPE = (6, 10)


def test_terms_are_in_the_order_of_their_deltas_digests(pico):
    base = pico.base()
    patches = [pico.patch(base, f"acme/p{number}", seed=number) for number in range(4)]
    digests = sorted(patch.manifest.files["delta.safetensors"].sha256 for patch in patches)
    for order in (patches, patches[::-1]):
        assert [term.source for term in sum_of(order)[pico.DOWN]] == digests


def test_terms_of_one_delta_stay_in_its_order(pico):
    operations = [pico.lowrank((6, 10), seed=number) for number in range(12)]
    patch = pico.patch(pico.base(), operations={pico.DOWN: operations})
    found = [term.operation.parts["A"][:] for term in sum_of([patch])[pico.DOWN]]
    assert all(map(np.array_equal, found, [operation.a for operation in operations]))


def test_the_same_delta_cannot_be_added_twice(pico):
    patch = pico.patch(pico.base())
    with pytest.raises(ConflictFound, match="hold the same delta"):
        sum_of([patch, patch])


def test_a_composition_and_its_member_cannot_be_added(pico):
    base = pico.base()
    one, two = pico.patch(base), pico.patch(base, "acme/two", seed=2)
    both = pico.composed(base, [one, two], "acme/both")
    with pytest.raises(ConflictFound, match="hold the same delta"):
        sum_of([both, two])


def listed(kind: type[Replace] | type[Sparse], *indices: int) -> Operation:
    parts = {"indices": np.array(indices, "<i4"), "values": np.ones(len(indices), np.float32)}
    return kind.read(parts, SHAPE)


WHOLE = Replace.read({"values": np.ones(SHAPE, np.float32)}, SHAPE)
WIDER = Widen.read({"rows": np.ones((1, 10), np.float32)}, SHAPE)


@pytest.mark.parametrize(
    "operations",
    [
        [WHOLE],
        [WHOLE, WIDER],
        [listed(Replace, 1, 5), listed(Replace, 2, 59)],
        [listed(Replace, 1, 5), listed(Sparse, 0, 2, 4, 6), WIDER],
        [listed(Sparse, 1), listed(Sparse, 1), listed(Replace, 0)],
    ],
)
def test_entries_that_do_not_meet_are_compatible(operations):
    require_compatible("w", operations)
    require_compatible("w", operations[::-1])


@pytest.mark.parametrize(
    "operations",
    [
        [WHOLE, WHOLE],
        [WHOLE, listed(Sparse, 3)],
        [WHOLE, listed(Replace, 3)],
        [listed(Replace, 1, 5), listed(Replace, 5, 6)],
        [listed(Replace, 1, 5), listed(Sparse, 0), listed(Sparse, 1)],
    ],
)
def test_a_replaced_entry_admits_no_second_operation(operations):
    for order in (operations, operations[::-1]):
        with pytest.raises(ConflictFound, match="replaced and changed at the same place"):
            require_compatible("w", order)


@pytest.mark.parametrize("kind", ["lowrank", "dense"])
def test_what_changes_every_entry_meets_every_replaced_one(pico, kind: str):
    with pytest.raises(ConflictFound) as refusal:
        require_compatible("w", [getattr(pico, kind)(SHAPE), listed(Replace, 0)])
    assert f"{kind} and replace meet on an entry" in str(refusal.value.why)


def test_patches_that_replace_one_entry_are_not_summed(pico):
    base = pico.base()
    one, two, three = (
        pico.patch(base, f"acme/p{number}", operations={pico.DOWN: [listed(Replace, *indices)]})
        for number, indices in enumerate(((1, 2), (3, 4), (2, 3)))
    )
    assert len(sum_of([one, two])[pico.DOWN]) == 2
    for other in (one, two):
        with pytest.raises(ConflictFound, match="same place"):
            sum_of([other, three])
