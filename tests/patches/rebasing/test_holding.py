"""Whether an edit still gives the scores that it gave."""

import pytest
from weightpatch.patches.evaluation.base import Mean
from weightpatch.patches.evaluation.measures import MEASURES
from weightpatch.patches.rebasing.holding import JUDGED, losses


def means(**after: float) -> dict[str, Mean]:
    return {f"{name}.exact-match": Mean(0.0, value, 3) for name, value in after.items()}


def test_a_mean_that_is_lower_is_a_loss():
    (loss,) = losses(means(reliability=1.0, locality=1.0), means(reliability=1.0, locality=0.5))
    assert str(loss) == "locality.exact-match 1.000 → 0.500"


@pytest.mark.parametrize(("after", "lost"), [(0.95, 0), (0.94, 1), (1.0, 0)])
def test_as_much_as_the_tolerance_may_be_lost(after: float, lost: int):
    found = losses(means(locality=1.0), means(locality=after), 0.05)
    assert len(found) == lost


def test_without_a_tolerance_nothing_may_be_lost():
    assert not losses(means(locality=0.9), means(locality=0.9), 0)
    assert losses(means(locality=0.9), means(locality=0.899), 0)


def test_what_was_not_scored_on_both_is_not_compared():
    assert not losses(means(locality=1.0), means(reliability=0.0))
    assert not losses({"rome.es": Mean(0.0, 1.0, 1)}, {"rome.es": Mean(0.0, 0.0, 1)})


def test_what_is_judged_is_scored_by_the_suite():
    assert set(JUDGED) <= set(MEASURES)
