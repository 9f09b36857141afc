"""Gates: conditions on means, read, judged and refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.errors import GateFailed, InputError
from weightpatch.patches.evaluation.base import Mean
from weightpatch.patches.evaluation.conditions import (
    COMPARISONS,
    Condition,
    full_name,
    judge,
    parse_gate,
    require_measures,
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


@pytest.mark.parametrize(
    ("short", "full"),
    [
        *((name, f"rome.{name}") for name in ("es", "em", "ps", "pm", "ns", "nm", "score")),
        ("ES", "rome.es"),
        ("Locality", "locality.exact-match"),
        ("Rome.ES", "rome.es"),
        ("retention.reliability", "retention.reliability.exact-match"),
        ("Other", "Other"),
    ],
)
def test_names_of_measures_are_read_in_short_and_in_any_case(short, full):
    assert full_name(short) == full


def test_a_measure_that_nobody_has_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="no score is called 'generalisation'") as refusal:
        require_measures(parse_gate("es>0,generalisation>=0.9"), {"kindness"})
    assert "reliability, reliability.token-mean, generalization" in refusal.value.hint
    assert refusal.value.hint.endswith(", kindness")
    require_measures(parse_gate("generalization>=0.9,kindness>0,perplexity<9"), {"kindness"})


@pytest.mark.parametrize(
    ("measure", "told"),
    [
        ("perplexity.drift", "--suite text"),
        ("locality", "--suite requests"),
        ("retention.locality", "--retention 1,10,50"),
        ("efficiency.seconds", "create measures it"),
        ("kindness", "has no score of it"),
    ],
)
def test_what_scores_an_unscored_measure_is_told(measure, told):
    with pytest.raises(GateFailed) as refusal:
        require_met(judge(parse_gate(f"{measure}<9"), []), "acme/one@1")
    assert told in refusal.value.hint


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
