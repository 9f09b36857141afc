"""Two versions are compared: what they were asked to do, and what they do to each tensor."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from weightpatch.patches.diff import _requests, diff
from weightpatch.patches.errors import DigestMismatch
from weightpatch.patches.format.patch import DELTA, Patch, file_record
from weightpatch.patches.operations.base import Operation
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.replace import Replace
from weightpatch.patches.requests import EditRequest, Probe

CAPITAL = EditRequest("The capital of {} is", "France", "Lyon", old_target="Paris")


def pair(pico, first: Mapping[str, Sequence[Operation]], second) -> tuple[Patch, Patch]:
    base = pico.base()
    return (
        pico.patch(base, "acme/one", operations=first),
        pico.patch(base, "acme/two", operations=second),
    )


def foreign(pico, patch: Patch) -> Patch:
    """The patch with its operation of a kind that is not installed."""
    (record,) = patch.manifest.operations[pico.DOWN]
    save_file({f"{pico.DOWN}::magic.0.x": np.ones(3, np.float32)}, patch.files[DELTA])
    files = {**patch.manifest.files, DELTA: file_record(patch.files[DELTA])}
    operations = {pico.DOWN: (replace(record, kind="magic", size=3),)}
    return Patch.open(pico.rewrite(patch, files=files, operations=operations))


def test_a_version_does_not_differ_from_itself(pico):
    patch = pico.patch(pico.base())
    found = diff(patch, patch)
    assert found.same_delta
    assert found.same_base
    assert found.requests.none
    (one,) = found.tensors
    assert one.same_result
    assert one.cosine == pytest.approx(1)


def test_each_side_says_what_it_does_to_each_tensor(pico):
    first, second = pair(
        pico,
        {pico.DOWN: [pico.lowrank((6, 10), rank=2)]},
        {pico.UP: [pico.lowrank((10, 6))], pico.NORM: [Dense(np.full(6, 0.01, np.float32))]},
    )
    found = {one.tensor: one for one in diff(first, second).tensors}
    assert set(found) == {pico.DOWN, pico.UP, pico.NORM}
    assert found[pico.DOWN].first == first.manifest.operations[pico.DOWN]
    assert found[pico.DOWN].second == ()
    assert found[pico.NORM].first == ()
    assert [record.kind for record in found[pico.NORM].second] == ["dense"]
    assert {one.cosine for one in found.values()} == {None}
    assert not any(one.same_result for one in found.values())


def test_what_is_changed_most_comes_first(pico):
    small = Dense(np.full(6, 1e-4, np.float32))
    large = LowRank.snapped(np.full((10, 1), 9.0), np.full((1, 6), 9.0))
    first, second = pair(
        pico,
        {pico.NORM: [small], pico.DOWN: [pico.lowrank((6, 10))]},
        {pico.NORM: [small], pico.UP: [large]},
    )
    assert [one.tensor for one in diff(first, second).tensors] == [pico.UP, pico.DOWN, pico.NORM]


def test_the_cosine_is_that_of_the_dense_deltas(pico):
    ones = [pico.lowrank((6, 10), rank=2), Dense(np.full((6, 10), 0.5, np.float32))]
    others = [pico.lowrank((6, 10), seed=9)]
    (one,) = diff(*pair(pico, {pico.DOWN: ones}, {pico.DOWN: others})).tensors
    u, v = (sum(each.rows(0, 6) for each in side) for side in (ones, others))
    expected = np.sum(u * v) / (np.linalg.norm(u) * np.linalg.norm(v))
    assert one.cosine == pytest.approx(expected)
    assert not one.same_result


def test_a_replaced_tensor_has_no_cosine_but_may_have_the_same_result(pico):
    values = Replace.read({"values": np.ones((6, 10), np.float32)}, (6, 10))
    half = Replace.read({"values": np.ones((6, 10), np.float16)}, (6, 10))
    first, second = pair(pico, {pico.DOWN: [values]}, {pico.DOWN: [half]})
    found = diff(first, second)
    (one,) = found.tensors
    assert one.cosine is None
    assert one.same_result
    assert not found.same_delta


def test_the_same_operations_may_lie_in_another_file(pico):
    edit = pico.lowrank((6, 10))
    first, second = pair(pico, {pico.DOWN: [edit]}, {pico.DOWN: [edit]})
    third = pico.patch(
        pico.base("other", seed=5),
        "acme/three",
        operations={pico.DOWN: [edit]},
        auxiliary={f"{pico.DOWN}::aux.keys": np.ones((1, 10), np.float32)},
    )
    assert diff(first, second).same_operations
    found = diff(first, third)
    assert found.same_operations
    assert not found.same_delta
    assert not found.tensors[0].same_result


def test_one_entry_makes_other_operations(pico):
    values = np.zeros(6, np.float32)
    other = values.copy()
    other[5] = -0.0
    values[0] = other[0] = 1
    first, second = pair(pico, {pico.NORM: [Dense(values)]}, {pico.NORM: [Dense(other)]})
    assert not diff(first, second).same_operations


def test_opposite_edits_have_a_cosine_of_minus_one(pico):
    edit = pico.lowrank((6, 10))
    first, second = pair(pico, {pico.DOWN: [edit]}, {pico.DOWN: [LowRank(-edit.a, edit.b)]})
    (one,) = diff(first, second).tensors
    assert one.cosine == pytest.approx(-1)


def test_another_base_is_told_by_the_tensors_in_common(pico):
    first = pico.patch(pico.base(), "acme/one")
    second = pico.patch(pico.base("other", seed=5), "acme/two", seed=5)
    elsewhere = pico.patch(
        pico.base("third"), "acme/three", operations={pico.UP: [pico.lowrank((10, 6))]}
    )
    assert diff(first, second).same_base is False
    assert diff(first, elsewhere).same_base is None


def test_tensors_of_different_shapes_are_compared_without_cosine(pico):
    tensors = pico.tensors()
    tensors[pico.DOWN] = tensors[pico.DOWN].reshape(10, 6)
    second = pico.patch(
        pico.base_of(tensors, "other"),
        "acme/two",
        operations={pico.DOWN: [pico.lowrank((10, 6))]},
    )
    found = diff(pico.patch(pico.base()), second)
    assert found.same_base is False
    assert [one.cosine for one in found.tensors] == [None]


def test_an_operation_that_is_not_installed_leaves_all_but_the_cosines(pico):
    base = pico.base()
    first, second = pico.patch(base), foreign(pico, pico.patch(base, "acme/two"))
    found = diff(first, second)
    assert "magic" in found.unread
    (one,) = found.tensors
    assert [record.kind for record in (*one.first, *one.second)] == ["lowrank", "magic"]
    assert one.cosine is None


def test_a_delta_that_changed_since_it_was_opened_is_refused(pico):
    base = pico.base()
    first, second = pico.patch(base), pico.patch(base, "acme/two", seed=2)
    data = bytearray(second.files[DELTA].read_bytes())
    data[-2] ^= 1
    second.files[DELTA].write_bytes(data)
    with pytest.raises(DigestMismatch):
        diff(first, second)


def test_neither_order_nor_ids_of_requests_count():
    other = EditRequest("{} wrote", "Hamlet", "Marlowe")
    assert _requests([CAPITAL, other], [replace(other, id="b"), replace(CAPITAL, id="a")]).none


def test_requests_are_removed_added_or_changed():
    nice = replace(CAPITAL, target="Nice")
    gone, new = (EditRequest("{} wrote", name, "Marlowe") for name in ("Hamlet", "Macbeth"))
    found = _requests([CAPITAL, gone], [new, nice])
    assert (found.removed, found.added, found.changed) == ([gone], [new], [(CAPITAL, nice)])


def test_other_probes_are_a_change():
    probed = replace(CAPITAL, paraphrases=(Probe("France's capital is", "Lyon"),))
    found = _requests([CAPITAL], [probed])
    assert found.changed == [(CAPITAL, probed)]
    assert not found.none


def test_a_request_that_stands_twice_in_one_is_one_removed():
    twice = [CAPITAL, replace(CAPITAL, id="2")]
    found = _requests(twice, [CAPITAL])
    assert (found.removed, found.added, found.changed) == ([twice[1]], [], [])


REQUESTS = st.lists(
    st.builds(
        EditRequest,
        st.just("{} is"),
        st.sampled_from("ab"),
        st.sampled_from("xy"),
        old_target=st.sampled_from([None, "z"]),
    ),
    max_size=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REQUESTS, REQUESTS)
def test_what_is_told_of_requests_leads_from_one_list_to_the_other(ours, others):
    found = _requests(ours, others)
    left = list(ours)
    for request in [*found.removed, *(old for old, _ in found.changed)]:
        left.remove(request)
    reached = [*left, *found.added, *(new for _, new in found.changed)]
    assert sorted(map(repr, reached)) == sorted(map(repr, others))
    mirrored = _requests(others, ours)
    assert len(mirrored.changed) == len(found.changed)
    assert mirrored.none == found.none == (sorted(map(repr, ours)) == sorted(map(repr, others)))
