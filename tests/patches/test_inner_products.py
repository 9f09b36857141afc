"""Cosines of all kinds of deltas are those of the unfolded matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weightpatch.patches.inner_products import cosine
from weightpatch.patches.operations import entries
from weightpatch.patches.operations.base import Addend
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.entries import Entries
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.sparse import Sparse

SHAPE = (5, 7)


def addend(kind: str, seed: int) -> Addend:
    random = np.random.default_rng(seed)
    if kind == "lowrank":
        return LowRank.snapped(random.standard_normal((5, 2)), random.standard_normal((2, 7)))
    if kind == "dense":
        return Dense(random.standard_normal(SHAPE).astype(np.float32))
    indices = np.unique(random.integers(0, 35, 14))
    values = random.standard_normal(len(indices)).astype(np.float32)
    return Sparse(Entries(indices, values), SHAPE)


sums = st.lists(
    st.builds(addend, st.sampled_from(["lowrank", "dense", "sparse"]), st.integers(0, 99)),
    min_size=1,
    max_size=3,
)


@given(first=sums, second=sums)
@settings(max_examples=200, deadline=None)
def test_a_cosine_is_that_of_the_unfolded_sums(first, second):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "CHUNK", 3)
        patch.setattr("weightpatch.patches.inner_products.CHUNK", 3)
        one, other = (sum(each.rows(0, 5) for each in found) for found in (first, second))
        expected = np.vdot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other))
        assert cosine(first, second) == pytest.approx(expected, abs=1e-9)


def test_a_few_entries_of_a_huge_tensor_cost_little():
    shape = (2**26, 2**26)
    one = Sparse(Entries(np.array([5, 2**51]), np.ones(2, np.float32)), shape)
    other = Sparse(Entries(np.array([5, 2**50]), np.ones(2, np.float32)), shape)
    assert cosine([one], [other]) == pytest.approx(0.5)
