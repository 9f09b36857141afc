"""Gates: conditions on means, read, judged and refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.errors import GateFailed, InputError
from weightpatch.patches.evaluation.base import Mean
from weightpatch.patches.evaluation.conditions import (
    COMPARISONS,
    Condition,
    judge,
    parse_gate,
    require_met,
)
from weightpatch.patches.evaluation.measures import mean


def test_a_gate_is_conditions_with_commas():
    assert parse_gate("reliability>=0.9, locality > .5,rome.em<1e-1") == (
        Condition("reliability.exact-match", ">=", 0.9),
        Condition("locality.exact-match", ">", 0.5),
        Condition("rome.em", "<", 0.1),
    )


@pytest.mark.parametrize(
    "text", ["", ",", "reliability>=0.9,", "reliability", "reliability=>1", "x>nan", "x>1e999"]
)
def test_what_is_no_gate(text):
    with pytest.raises(InputError, match="is not a condition"):
        parse_gate(text)


def test_a_gate_has_an_end():
    with pytest.raises(InputError, match="more than"):
        parse_gate(",".join(f"m{number}>0" for number in range(200)))


def test_nine_of_ten_is_at_least_nine_tenths():
    nine_of_ten = mean([1.0] * 9 + [0.0])
    (condition,) = parse_gate("reliability>=0.9")
    assert condition.holds(nine_of_ten)
    assert not Condition("x", ">", 0.9).holds(nine_of_ten)
    assert not condition.holds(0.8999999999999999)


@given(
    st.sampled_from(sorted(COMPARISONS)),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_condition_is_printed_as_it_is_read(comparison, number):
    condition = Condition("rome.nm", comparison, number)
    assert Condition.parse(str(condition)) == condition


def test_each_suite_that_scored_a_measure_must_meet_its_condition():
    conditions = parse_gate("reliability>=0.9,fluency>5")
    high, low = (
        {"reliability.exact-match": Mean(0.0, 1.0, 3)},
        {"reliability.exact-match": Mean(None, 0.5, 2)},
    )
    verdicts = judge(conditions, [("requests", high), ("counterfact", low)])

    assert [(each.suite, each.value, each.met) for each in verdicts] == [
        ("requests", 1.0, True),
        ("counterfact", 0.5, False),
        (None, None, False),
    ]
    with pytest.raises(GateFailed) as refusal:
        require_met(verdicts, "acme/one@1")
    assert refusal.value.exit_code == 3
    assert refusal.value.why == (
        "it fails reliability.exact-match>=0.9 (it is 0.5), fluency>5.0 (not scored)"
    )


def test_a_gate_that_is_met_lets_pass():
    means = {"reliability.exact-match": Mean(0.0, 1.0, 3)}
    verdicts = judge(parse_gate("reliability=1"), [("requests", means)])
    require_met(verdicts, "acme/one@1")
    assert verdicts[0].to_json() == {
        "measure": "reliability.exact-match",
        "comparison": "=",
        "number": 1.0,
        "suite": "requests",
        "value": 1.0,
        "met": True,
    }
