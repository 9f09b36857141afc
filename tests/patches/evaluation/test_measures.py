import math

import pytest
from weightpatch.patches.evaluation.measures import (
    AGGREGATES,
    MEASURES,
    exact_match,
    harmonic_mean,
    magnitude,
    mean,
    preferred,
    token_mean,
)


def test_one_wrong_token_of_four_spoils_the_exact_match_but_not_the_token_mean():
    assert exact_match((1, 2, 3, 4), (1, 2, 3, 9)) == 0.0
    assert token_mean((1, 2, 3, 4), (1, 2, 3, 9)) == 0.75


def test_all_tokens_right():
    assert exact_match((1, 2), (1, 2)) == token_mean((1, 2), (1, 2)) == 1.0


def test_the_likelier_answer_is_preferred_and_a_tie_prefers_neither():
    assert preferred(0.5, 0.7) == 1.0
    assert preferred(0.7, 0.5) == 0.0
    assert preferred(0.5, 0.5) == 0.0


def test_magnitude_is_a_difference_of_probabilities():
    assert magnitude(-math.log(0.75), -math.log(0.5)) == pytest.approx(0.25, abs=1e-15)
    assert magnitude(math.inf, 0.0) == -1.0


def test_mean_does_not_depend_on_the_order():
    assert mean([1e16, 1.0, -1e16]) == mean([1e16, -1e16, 1.0]) == 1 / 3


def test_harmonic_mean_is_zero_as_soon_as_one_value_is():
    assert harmonic_mean([1.0, 0.5, 1.0]) == 0.75
    assert harmonic_mean([1.0, 0.0, 1.0]) == 0.0


def test_every_measure_names_its_source_and_every_aggregate_is_a_measure_of_measures():
    assert all("et al. 20" in measure.definition for measure in MEASURES.values())
    for name, (parts, _) in AGGREGATES.items():
        assert MEASURES.keys() >= {name, *parts}


@pytest.mark.parametrize("least", [5e-324, 1e-308, 1e-100])
def test_the_harmonic_mean_of_tiny_values_is_tiny(least):
    assert harmonic_mean([least] * 3) == least
    assert harmonic_mean([least, 1.0, 1.0]) == pytest.approx(3 * least, rel=1e-12, abs=0)
