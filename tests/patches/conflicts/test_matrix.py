"""The measures of many patches at once are those of each pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pico_fixtures import Pico
from weightpatch.patches.conflicts import blocks as module
from weightpatch.patches.conflicts.blocks import MEASURES, blocks
from weightpatch.patches.conflicts.matrix import matrix, worst_pairs
from weightpatch.patches.conflicts.measures import measure
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest


def patch_of(pico, base, number: int, plan: tuple[int, int, bool, bool], tensor: str = ""):
    """A patch of a rank, with so many keys, of a tensor stored straight or turned, or nothing."""
    rank, keys, transposed, cancelled = plan
    tensor = tensor or pico.DOWN
    shape = base.tensors[tensor].shape
    random = np.random.default_rng(number)
    out, width = reversed(shape) if transposed else shape
    auxiliary = {
        f"{tensor}::aux.keys": random.standard_normal((keys, width)).astype("<f4"),
        f"{tensor}::aux.residuals": random.standard_normal((keys, out)).astype("<f4"),
    }
    term = pico.lowrank(shape, rank=rank, seed=number)
    return pico.patch(
        base,
        f"acme/p{number}",
        operations={tensor: [term, LowRank(-term.a, term.b)] if cancelled else [term]},
        auxiliary=auxiliary if keys else None,
        requests=[EditRequest("{} is", f"subject {number}", "it")],
    )


plans = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 3), st.booleans(), st.booleans()),
    min_size=2,
    max_size=6,
)


@given(plans, st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_blocks_hold_what_each_pair_has(tmp_path_factory, plan, columns: int):
    pico = Pico(tmp_path_factory.mktemp("pico"))
    base = pico.base()
    patches = [patch_of(pico, base, number, each) for number, each in enumerate(plan)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_COLUMNS", columns)
        found = {}
        for block in blocks(patches, pico.DOWN):
            assert set(block.measures) == set(MEASURES)
            for row, one in enumerate(block.rows):
                for column, other in enumerate(block.columns):
                    found[one, other] = {
                        name: values[row, column] for name, values in block.measures.items()
                    }
    for one in range(len(patches)):
        for other in range(one + 1, len(patches)):
            expected = measure(patches[one], patches[other], pico.DOWN).numbers()
            for name, value in found[one, other].items():
                known = expected.get(name, np.nan)
                assert value == pytest.approx(known, rel=1e-5, abs=1e-5, nan_ok=True), name


def test_a_matrix_holds_the_worst_of_all_tensors(pico):
    base = pico.base()
    same = pico.lowrank((10, 6))
    plan = {pico.DOWN: [pico.lowrank((6, 10))], pico.UP: [same]}
    one = pico.patch(base, "acme/one", operations=plan)
    opposite = {
        pico.DOWN: [pico.lowrank((6, 10), seed=2)],
        pico.UP: [LowRank(-same.a, same.b)],
    }
    two = pico.patch(base, "acme/two", operations=opposite)
    other = pico.patch(base, "acme/three", operations={pico.NORM: [pico.replaced((6,))]})
    found = matrix([one, two, other])
    assert found["cosine"][0, 1] == found["cosine"][1, 0] == pytest.approx(-1)
    assert found["overlap"][0, 1] == pytest.approx(1)
    assert np.isnan(found["interference"]).all()
    assert np.isnan(found["cosine"][2]).all()
    assert np.isnan(np.diagonal(found["cosine"])).all()
    (pair,) = worst_pairs(found, 5)
    assert (pair.one, pair.other) == (0, 1)
    assert set(pair.numbers) == {"cosine", "overlap"}


def test_a_matrix_is_symmetric_however_the_deltas_are_stacked(pico, monkeypatch):
    base = pico.base()
    patches = [patch_of(pico, base, number, (1, 1, False, False)) for number in range(4)]
    whole = matrix(patches)
    monkeypatch.setattr(module, "MAX_COLUMNS", 1)
    for name, square in matrix(patches).items():
        assert np.array_equal(square, square.T, equal_nan=True), name
        assert square == pytest.approx(whole[name], rel=1e-5, abs=1e-5, nan_ok=True)
        assert np.isnan(square).sum() == 4


def test_patches_of_tensors_of_other_shapes_are_not_compared(pico):
    tensors = pico.tensors()
    tensors[pico.DOWN] = tensors[pico.DOWN][:4]
    other = pico.base_of(tensors, "other")
    patches = [
        pico.patch(pico.base(), "acme/one"),
        pico.patch(other, "acme/two", operations={pico.DOWN: [pico.lowrank((4, 10))]}),
    ]
    assert np.isnan(matrix(patches)["cosine"]).all()


def test_the_worst_pairs_come_first_and_noise_not_at_all():
    nothing = np.full((4, 4), np.nan, np.float32)
    interference, cosine = nothing.copy(), nothing.copy()
    interference[0, 1], interference[0, 2], interference[1, 2] = 0.3, 0.9, 0.01
    cosine[0, 3], cosine[1, 3] = -0.8, 0.2
    found = {"interference": interference, "cosine": cosine, "overlap": nothing}
    pairs = [(pair.one, pair.other) for pair in worst_pairs(found, 10)]
    assert pairs == [(0, 2), (0, 1), (0, 3), (1, 3)]
    assert [(pair.one, pair.other) for pair in worst_pairs(found, 1)] == [(0, 2)]
