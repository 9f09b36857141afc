"""Many patches are judged as each pair of them; what is only a note is counted."""

from itertools import combinations

import numpy as np
import pytest
from weightpatch.patches.conflicts import report as reports
from weightpatch.patches.conflicts import weights as weighing
from weightpatch.patches.conflicts.check import MANY, check, examine
from weightpatch.patches.conflicts.findings import NOT_COMPARED
from weightpatch.patches.conflicts.thresholds import Thresholds
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest


@pytest.fixture
def crowd(pico):
    """MANY patches of three tensors, some with keys, some alike, some replacing or dense."""
    base = pico.base()
    shapes = {pico.DOWN: (6, 10), pico.UP: (10, 6)}
    found = []
    for number in range(MANY):
        random = np.random.default_rng(number)
        tensor = pico.UP if number % 3 == 0 else pico.DOWN
        out, width = shapes[tensor]
        key = random.standard_normal((1, width)).astype("<f4")
        residual = random.standard_normal((1, out)).astype("<f4")
        term = LowRank.snapped(residual.T, key / np.sum(key**2))
        operations = {tensor: [term, pico.lowrank((out, width), rank=2, seed=number)]}
        if number in (4, 5):
            operations = {pico.DOWN: [pico.replaced((6, 10), count=2, seed=number)]}
        if number in (7, 8):
            operations = {pico.DOWN: [pico.dense((6, 10), seed=number)]}
        auxiliary = {f"{tensor}::aux.keys": key, f"{tensor}::aux.residuals": residual}
        request = EditRequest("The capital of {} is", f"land {number % 20}", f"town {number}")
        found.append(
            pico.patch(
                base,
                f"acme/p{number:02}",
                operations=operations,
                auxiliary=auxiliary if tensor in operations and number % 2 else None,
                requests=[request],
            )
        )
    return found


def graver(findings):
    return sorted(
        (found.severity, found.level, found.patches, found.where)
        for found in findings
        if found.severity != "note"
    )


def test_many_are_judged_as_each_pair_of_them(crowd):
    pairs = [check(pair) for pair in combinations(crowd, 2)]
    together = examine(crowd)
    assert graver(together.findings) == graver(found for pair in pairs for found in pair)
    assert {"conflict", "warning"} == {found.severity for found in together.findings}
    notes = sum(found.severity == "note" for pair in pairs for found in pair)
    assert together.left_out == {"note": notes}
    assert together.count("note") == notes


def test_the_numbers_of_many_are_those_of_a_pair(crowd):
    by_label = {patch.label: patch for patch in crowd}
    together = [one for one in check(crowd) if one.level == "weights" and one.numbers]
    for finding in together:
        (alone,) = (
            one
            for one in check([by_label[label] for label in finding.patches])
            if one.where == finding.where
        )
        for name, value in finding.numbers.items():
            assert value == pytest.approx(alone.numbers[name], rel=1e-5, abs=1e-5)


def test_what_is_too_much_is_counted(crowd, monkeypatch):
    whole = examine(crowd)
    monkeypatch.setattr(reports, "MAX_LISTED", 2)
    found = examine(crowd)
    for severity in ("conflict", "warning", "note"):
        assert found.count(severity) == whole.count(severity)
        assert sum(each.severity == severity for each in found.findings) <= 2


def test_dense_deltas_of_many_are_compared_up_to_a_bound(crowd, monkeypatch):
    monkeypatch.setattr(weighing, "MAX_COMPARED", 0)
    never = Thresholds(interference=1e9, cosine=2, overlap=2)
    found = examine(crowd, thresholds=never)
    assert not [one for one in found.findings if one.numbers]
    # Two dense ones with twelve of low rank and with each other, and the two that replace.
    assert found.left_out[NOT_COMPARED] == 2 * 12 + 1 + 1


@pytest.fixture
def dense_crowd(pico):
    """Thirty dense patches of one tensor, so 435 pairs, the last two in the same direction."""
    base = pico.base()
    deltas = [pico.values((6, 10), "F32", seed) for seed in range(29)]
    return [
        pico.patch(
            base,
            f"acme/p{number:02}",
            operations={pico.DOWN: [Dense(delta)]},
            requests=[EditRequest("{} is", f"subject {number}", "it")],
        )
        for number, delta in enumerate([*deltas, 2 * deltas[-1]])
    ]


def test_a_measure_that_may_refuse_is_taken_of_all_pairs(dense_crowd):
    found = examine(dense_crowd, thresholds=Thresholds(cosine_conflict=0.9))
    conflicts = [one for one in found.findings if one.severity == "conflict"]
    assert [one.patches for one in conflicts] == [("acme/p28@1", "acme/p29@1")]
    assert NOT_COMPARED not in found.left_out


def test_what_was_not_compared_is_no_note(dense_crowd):
    found = examine(dense_crowd)
    assert found.left_out[NOT_COMPARED] == 435 - 300
    assert sum(map(found.count, ("conflict", "warning", "note"))) == 300


def test_conflicts_alone_are_found_without_measuring(crowd):
    few = crowd[:10]
    alone = check(few, conflicts_only=True)
    assert {found.severity for found in alone} == {"conflict"}
    expected = [found for found in check(few) if found.severity == "conflict"]
    assert sorted(map(str, alone)) == sorted(map(str, expected))


def test_a_measure_that_may_refuse_is_taken_for_conflicts_alone(pico):
    base = pico.base()
    requests = [EditRequest("{} is", "it", "so")]
    pair = [pico.patch(base), pico.patch(base, "acme/two", seed=2, requests=requests)]
    thresholds = Thresholds(cosine_conflict=0)
    (found,) = check(pair, thresholds=thresholds, conflicts_only=True)
    assert found.severity == "conflict"
