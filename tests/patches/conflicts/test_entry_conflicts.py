"""What clashes where entries are listed: a replaced one admits no second operation."""

import numpy as np
import pytest
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.conflicts.check import Finding, check
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.inner_products import cosine
from weightpatch.patches.operations.base import Operation
from weightpatch.patches.operations.replace import Replace
from weightpatch.patches.requests import EditRequest


def weights(findings: list[Finding]) -> Finding:
    (finding,) = (finding for finding in findings if finding.level == "weights")
    return finding


def dense(patch: Patch, tensor: str) -> np.ndarray:
    return sum(o.rows(0, o.shape[0]) for o in patch.operations[tensor])


def on_down(pico, base: Checkpoint, name: str, operation: Operation) -> Patch:
    return pico.patch(
        base,
        name,
        operations={pico.DOWN: [operation]},
        requests=[EditRequest("The capital of {} is", name, "Lyon")],
    )


@pytest.mark.parametrize("kind", ["lowrank", "dense", "sparse", "replaced", "replaced_whole"])
def test_a_replaced_entry_that_another_patch_changes_is_a_conflict(pico, kind: str):
    base = pico.base()
    one = on_down(pico, base, "acme/one", pico.replaced((6, 10)))
    more = {"count": 60, "seed": 2} if kind in ("sparse", "replaced") else {}
    two = on_down(pico, base, "acme/two", getattr(pico, kind)((6, 10), **more))
    for pair in ([one, two], [two, one]):
        found = weights(check(pair))
        assert found.severity == "conflict"
        assert "meet on an entry" in found.sentence


def test_entries_that_do_not_meet_are_no_conflict(pico):
    base = pico.base()
    parts = pico.listed((6, 10), 20, "F32", 0)
    halves = [{name: part[half::2] for name, part in parts.items()} for half in (0, 1)]
    one, other = (
        on_down(pico, base, f"acme/p{number}", Replace.read(half, (6, 10)))
        for number, half in enumerate(halves)
    )
    found = weights(check([one, other]))
    assert (found.severity, found.numbers) == ("note", {"common_entries": 0.0})


@pytest.mark.parametrize("kind", ["lowrank", "dense", "sparse"])
def test_the_cosine_of_listed_entries_is_that_of_the_dense_matrices(pico, kind: str):
    base = pico.base()
    one = on_down(pico, base, "acme/one", pico.sparse((6, 10), count=30))
    two = on_down(pico, base, "acme/two", getattr(pico, kind)((6, 10), seed=2))
    deltas = [dense(patch, pico.DOWN) for patch in (one, two)]
    expected = np.vdot(*deltas) / np.prod([np.linalg.norm(delta) for delta in deltas])
    assert weights(check([one, two])).numbers["cosine"] == pytest.approx(expected)


def test_what_a_replacement_changes_has_no_direction(pico):
    whole = [pico.replaced_whole((6, 10))]
    assert cosine(whole, [pico.lowrank((6, 10))]) is None
