"""Every measure of the factors is that of the dense matrices."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from weightpatch.patches.conflicts.matrix import matrix
from weightpatch.patches.conflicts.measures import (
    chance,
    common_entries,
    excess,
    measure,
    measures,
    overlap,
    principal_cosines,
)
from weightpatch.patches.conflicts.spectrum import CORRECTION, lowrank_terms, spectrum
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.sparse import Sparse

SHAPES = st.tuples(st.integers(2, 9), st.integers(2, 9))


def dense(operations) -> np.ndarray:
    return sum(each.rows(0, each.shape[0]) for each in operations)


def random_terms(shape, ranks, seed: int) -> list[LowRank]:
    random = np.random.default_rng(seed)
    return [
        LowRank.snapped(
            random.standard_normal((shape[0], rank)), random.standard_normal((rank, shape[1]))
        )
        for rank in ranks
    ]


def degenerate(terms: list[LowRank]) -> list[LowRank]:
    """The same delta with factors that say everything twice, so that they have not full rank."""
    return [
        LowRank(np.concatenate([each.a, each.a], axis=1), np.concatenate([each.b, each.b]))
        for each in terms
    ]


@st.composite
def deltas(draw: st.DrawFn, shape) -> list[LowRank]:
    ranks = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    terms = random_terms(shape, ranks, draw(st.integers(0, 99)))
    return degenerate(terms) if draw(st.booleans()) else terms


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[LowRank], list[LowRank]]:
    shape = draw(SHAPES)
    return draw(deltas(shape)), draw(deltas(shape))


def dense_spaces(delta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bases of what a matrix writes and reads."""
    u, s, vt = np.linalg.svd(delta)
    # Between a direction and rounding there is no sharp line: leave out what lies near it.
    assume(not ((s > 1e-9 * s[0]) & (s < 1e-3 * s[0])).any())
    rank = int(np.sum(s > 1e-5 * s[0]))
    return u[:, :rank], vt[:rank].T


@given(SHAPES.flatmap(deltas))
@settings(deadline=None)
def test_a_spectrum_is_the_svd_of_the_dense_matrix(operations):
    found, delta = spectrum(operations), dense(operations)
    expected = np.linalg.svd(delta, compute_uv=False)
    np.testing.assert_allclose(found.u * found.s @ found.v.T, delta, atol=1e-5 * expected[0])
    np.testing.assert_allclose(found.s, expected[: found.rank], rtol=1e-9, atol=1e-6 * expected[0])
    assert found.rank == dense_spaces(delta)[0].shape[1]
    for basis in (found.u, found.v):
        np.testing.assert_allclose(basis.T @ basis, np.eye(found.rank), atol=1e-9)


def test_terms_that_cancel_each_other_have_no_rank():
    (term,) = random_terms((6, 9), [3], 37)
    assert spectrum([term, LowRank(-term.a, term.b)]).rank == 0


def test_a_term_of_zeros_has_no_rank():
    zero = LowRank(np.zeros((6, 1), np.float32), np.ones((1, 9), np.float32))
    assert spectrum([zero]).rank == 0


@given(pairs())
@settings(deadline=None)
def test_the_overlap_is_that_of_the_dense_spaces(pair):
    one, other = (spectrum(operations) for operations in pair)
    spaces = [dense_spaces(dense(operations)) for operations in pair]
    for mine, theirs, side in ((one.u, other.u, 0), (one.v, other.v, 1)):
        first, second = spaces[0][side], spaces[1][side]
        least = min(first.shape[1], second.shape[1])
        expected = np.linalg.norm(first.T @ second) ** 2 / least
        cosines = principal_cosines(mine, theirs)
        assert overlap(cosines) == pytest.approx(expected, abs=1e-5)
        # The angle of two projections: its cosine is the largest singular value of P₁P₂.
        projected = first @ first.T @ second @ second.T
        assert cosines[0] == pytest.approx(np.linalg.norm(projected, 2), abs=1e-5)


def test_random_spaces_overlap_as_chance_says():
    random = np.random.default_rng(0)
    found = []
    for _ in range(300):
        one, other = (np.linalg.qr(random.standard_normal((40, rank)))[0] for rank in (3, 8))
        found.append(overlap(principal_cosines(one, other)))
    assert np.mean(found) == pytest.approx(chance(3, 8, 40), rel=0.03)


@pytest.mark.parametrize(
    ("phi", "by_chance", "expected"),
    [(1.0, 0.2, 1.0), (0.2, 0.2, 0.0), (0.1, 0.2, 0.0), (0.6, 0.2, 0.5), (1.0, 1.0, 0.0)],
)
def test_the_excess_is_what_is_above_chance(phi: float, by_chance: float, expected: float):
    assert excess(phi, np.float64(by_chance)) == pytest.approx(expected)


def test_a_pair_of_patches_is_measured_on_each_tensor_that_both_change(pico):
    base = pico.base()
    up, down = [pico.lowrank((10, 6), rank=2)], [pico.lowrank((6, 10), rank=3)]
    one = pico.patch(base, "acme/one", operations={pico.UP: up, pico.DOWN: down})
    two = pico.patch(base, "acme/two", seed=2)
    found = measures(one, two)
    assert list(found) == [pico.DOWN]
    assert found[pico.DOWN] == measure(one, two, pico.DOWN)
    a, b = (dense(patch.operations[pico.DOWN]) for patch in (one, two))
    expected = np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
    assert found[pico.DOWN].cosine == pytest.approx(expected)
    assert found[pico.DOWN].interference is None


def test_a_delta_that_cancels_itself_overlaps_with_nothing(pico):
    base, term = pico.base(), pico.lowrank((6, 10), rank=2)
    nothing = [term, LowRank(-term.a, term.b)]
    zero = pico.patch(base, "acme/zero", operations={pico.DOWN: nothing})
    found = measure(zero, pico.patch(base), pico.DOWN)
    assert (found.input_overlap, found.output_angle, found.input_excess) == (0, 0, 0)


def test_a_high_rank_is_not_taken_apart(pico):
    base = pico.base()
    many = [pico.lowrank((6, 10), rank=512, seed=seed) for seed in (1, 2)]
    one = pico.patch(base, operations={pico.DOWN: many})
    found = measure(one, pico.patch(base, "acme/two", seed=3), pico.DOWN)
    assert found.cosine is not None
    assert found.input_overlap is None


def test_entries_in_common_are_a_part_of_the_fewer(pico):
    one, other = (
        Sparse.read(
            {"indices": np.array(places, "<i4"), "values": np.ones(len(places), "<f4")}, (9,)
        )
        for places in ([0, 2, 4, 6], [2, 3, 4])
    )
    assert common_entries([one], [other]) == pytest.approx(2 / 3)
    assert common_entries([one], [pico.dense((9,))]) is None


def small(operation: Sparse, scale: float) -> Sparse:
    values = (operation.listed.values[:] * scale).astype("<f4")
    return Sparse.read({"indices": operation.listed.indices, "values": values}, operation.shape)


def test_a_small_correction_hides_no_lowrank_delta(pico):
    base, shape = pico.base(), (6, 10)
    term, entries = pico.lowrank(shape, rank=2), pico.sparse(shape)
    scale = CORRECTION * term.norm() / entries.norm()
    random = np.random.default_rng(4)
    kept = {
        f"{pico.DOWN}::aux.keys": random.standard_normal((1, 10)).astype("<f4"),
        f"{pico.DOWN}::aux.residuals": random.standard_normal((1, 6)).astype("<f4"),
    }
    victim = pico.patch(base, "acme/victim", seed=2, auxiliary=kept)

    def measured(name: str, *more: Sparse):
        return measure(
            pico.patch(base, name, operations={pico.DOWN: [term, *more]}), victim, pico.DOWN
        )

    alone, corrected = measured("acme/alone"), measured("acme/job", small(entries, 0.99 * scale))
    assert alone.interference is not None
    for name in set(alone.numbers()) - {"cosine"}:
        assert corrected.numbers()[name] == alone.numbers()[name], name
    changed = measured("acme/more", small(entries, 1.01 * scale)).numbers()
    assert set(changed) == {"cosine"}


def test_a_correction_counts_in_the_cosine_of_two(pico):
    base, shape = pico.base(), (6, 10)
    term, entries = pico.lowrank(shape), pico.sparse(shape)
    operations = [term, small(entries, 0.009 * term.norm() / entries.norm())]
    one = pico.patch(base, operations={pico.DOWN: operations})
    two = pico.patch(base, "acme/two", seed=2)
    a, b = (dense(patch.operations[pico.DOWN]) for patch in (one, two))
    expected = np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
    assert measure(one, two, pico.DOWN).cosine == pytest.approx(expected, abs=1e-9)
    assert matrix([one, two])["cosine"][0, 1] == pytest.approx(expected, abs=0.02)


def test_terms_that_cancel_have_nothing_to_correct(pico):
    term = pico.lowrank((6, 10))
    left = [term, LowRank(-term.a, term.b), small(pico.sparse((6, 10)), 1e-6)]
    assert lowrank_terms(left) is None
    assert lowrank_terms(left[:2]) == left[:2]
    assert lowrank_terms([pico.dense((6, 10))]) is None
    assert lowrank_terms([pico.sparse((6, 10))]) is None
