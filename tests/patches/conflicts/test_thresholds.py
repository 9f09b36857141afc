"""From where on a number is a warning or a conflict is for the user to say."""

from math import inf, nan

import numpy as np
import pytest
from weightpatch.patches.conflicts.thresholds import DEFAULTS, Thresholds
from weightpatch.patches.errors import RequestRefused


@pytest.mark.parametrize(
    ("numbers", "severity"),
    [
        ({}, "note"),
        ({"interference": 0.29, "cosine": 0.1}, "note"),
        ({"interference": 0.3}, "warning"),
        ({"cosine": -0.7}, "warning"),
        ({"input_excess": 0.6, "cosine": 0.0}, "warning"),
        ({"output_excess": 1.0, "input_overlap": 1.0}, "note"),
        ({"interference": 2.0, "cosine": 0.0}, "conflict"),
        ({"interference": nan}, "note"),
        ({"interference": inf}, "conflict"),
    ],
)
def test_the_gravest_measure_counts(numbers, severity: str):
    thresholds = Thresholds(interference=0.3, interference_conflict=2, cosine=0.7, overlap=0.6)
    assert thresholds.severity(numbers) == severity


def test_many_pairs_are_judged_as_each_one():
    thresholds = Thresholds(interference=0.3, interference_conflict=2)
    measures = {"interference": np.array([[nan, 0.5], [3.0, 0.1]]), "cosine": np.zeros((2, 2))}
    assert thresholds.levels(measures).tolist() == [[2, 1], [0, 2]]


def test_by_default_no_number_refuses():
    assert not DEFAULTS.may_refuse
    assert DEFAULTS.changed({"cosine_conflict": 0.9}).may_refuse
    assert DEFAULTS.severity({"interference": 1e6, "cosine": 1.0, "input_excess": 1.0}) == "warning"


def test_thresholds_are_changed_by_name():
    changed = DEFAULTS.changed({"interference": 0.25, "interference-conflict": 1.5})
    assert (changed.interference, changed.interference_conflict) == (0.25, 1.5)
    assert changed.cosine == DEFAULTS.cosine


@pytest.mark.parametrize("settings", [{"interferenc": 1.0}, {"cosine": -0.1}, {"cosine": nan}])
def test_what_is_no_threshold_is_refused(settings):
    with pytest.raises(RequestRefused, match="threshold"):
        DEFAULTS.changed(settings)


def test_never_is_null_in_json():
    found = Thresholds(cosine=0.4).to_json()
    assert found["cosine"] == 0.4
    assert found["cosine_conflict"] is None
