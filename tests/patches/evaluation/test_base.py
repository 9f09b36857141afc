import json
import math
from dataclasses import replace

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.errors import LimitExceeded, ManifestError
from weightpatch.patches.evaluation.base import Evaluation, Mean, Score
from weightpatch.patches.evaluation.measures import MEASURES
from weightpatch.patches.evaluation.text import perplexity

EVALUATION = Evaluation(
    suite="requests",
    suite_digest="0" * 64,
    definitions={name: measure.definition for name, measure in MEASURES.items()},
    scores=(
        Score("1", "reliability.exact-match", 0.0, 1.0, 1),
        Score("1", "rome.nm", -0.25, 0.125, 10),
        Score("2", "reliability.exact-match", 0.5, 0.75, 1),
    ),
    environment={"torch": "2.13.0", "device": "cpu"},
)
RECORD = EVALUATION.to_json()


def test_an_evaluation_is_read_back_from_its_canonical_bytes():
    assert Evaluation.from_json(json.loads(rfc8785.dumps(RECORD))) == EVALUATION


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1),
            st.sampled_from(sorted(MEASURES)),
            st.none() | st.floats(0, 1),
            st.floats(0, 1),
            st.integers(1, 1000),
        ),
        min_size=1,
        unique_by=lambda score: score[:2],
    )
)
def test_any_scores_survive_the_journey(scores):
    evaluation = replace(EVALUATION, scores=tuple(Score(*score) for score in scores))
    assert Evaluation.from_json(json.loads(rfc8785.dumps(evaluation.to_json()))) == evaluation


def test_means_are_by_measure():
    assert EVALUATION.means() == {
        "reliability.exact-match": Mean(before=0.25, after=0.875, cases=2),
        "rome.nm": Mean(before=-0.25, after=0.125, cases=1),
    }


def test_a_mean_before_is_unknown_when_one_score_before_is():
    scores = (*EVALUATION.scores[:2], Score("2", "reliability.exact-match", None, 0.75, 1))
    means = replace(EVALUATION, scores=scores).means()
    assert means["reliability.exact-match"] == Mean(before=None, after=0.875, cases=2)


def test_an_aggregate_needs_all_its_parts_and_is_unknown_before_if_one_of_them_is():
    parts = [Score("1", "rome.es", 0.5, 1.0, 1), Score("1", "rome.ps", None, 0.5, 2)]
    assert "rome.score" not in replace(EVALUATION, scores=tuple(parts)).means()
    whole = (*parts, Score("1", "rome.ns", 0.5, 1.0, 2), Score("2", "rome.ns", 0.5, 1.0, 2))
    assert replace(EVALUATION, scores=whole).means()["rome.score"] == Mean(None, 0.75, 1)


def test_a_measure_of_a_suite_not_installed_here_is_kept():
    record = {
        **RECORD,
        "definitions": {"perplexity.drift": "Of somebody else."},
        "scores": [_score(measure="perplexity.drift", after=17.5)],
    }
    assert Evaluation.from_json(record).means()["perplexity.drift"].after == 17.5


def _score(**changes):
    return {**RECORD["scores"][0], **changes}


HOSTILE = {
    "not an object": [RECORD],
    "nothing": None,
    "another format": {**RECORD, "format": "weightpatch.evaluation/2"},
    "no format": {name: value for name, value in RECORD.items() if name != "format"},
    "a field too many": {**RECORD, "rank": 1},
    "a field too few": {name: value for name, value in RECORD.items() if name != "environment"},
    "a suite with a path": {**RECORD, "suite": "../requests"},
    "a suite that is a number": {**RECORD, "suite": 7},
    "half a digest": {**RECORD, "suite_digest": "0" * 63},
    "a digest in capitals": {**RECORD, "suite_digest": "A" * 64},
    "definitions as a list": {**RECORD, "definitions": ["reliability"]},
    "a definition that is a number": {**RECORD, "definitions": {"rome.es": 1}},
    "a definition with an escape": {
        **RECORD,
        "definitions": {**RECORD["definitions"], "rome.es": "\x1b[2J"},
    },
    "a measure with a space": {
        **RECORD,
        "definitions": {**RECORD["definitions"], "rome es": "Share."},
    },
    "an environment with a line break": {**RECORD, "environment": {"torch": "2\n3"}},
    "an environment with half a character": {**RECORD, "environment": {"torch": "\ud800"}},
    "no scores": {**RECORD, "scores": []},
    "scores as an object": {**RECORD, "scores": {"1": _score()}},
    "a score that is a number": {**RECORD, "scores": [1.0]},
    "a score with a field too many": {**RECORD, "scores": [_score(rank=1)]},
    "a score without a case": {**RECORD, "scores": [_score(case="")]},
    "a case with a NUL": {**RECORD, "scores": [_score(case="\0")]},
    "a measure without a definition": {**RECORD, "scores": [_score(measure="beauty")]},
    "a score after that is null": {**RECORD, "scores": [_score(after=None)]},
    "a score that is true": {**RECORD, "scores": [_score(after=True)]},
    "a score that is a text": {**RECORD, "scores": [_score(after="1")]},
    "NaN": {**RECORD, "scores": [_score(after=math.nan)]},
    "infinity before": {**RECORD, "scores": [_score(before=math.inf)]},
    "a number that no float holds": {**RECORD, "scores": [_score(after=10**400)]},
    "a share above one": {**RECORD, "scores": [_score(after=1.5)]},
    "a share below zero": {**RECORD, "scores": [_score(before=-0.5)]},
    "a magnitude below minus one": {
        **RECORD,
        "scores": [_score(measure="rome.nm", after=-1.5)],
    },
    "a mean over nothing": {**RECORD, "scores": [_score(count=0)]},
    "half a prompt": {**RECORD, "scores": [_score(count=1.5)]},
    "the same score twice": {**RECORD, "scores": [_score(), _score(after=0.5)]},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_an_evaluation_is_refused(what):
    with pytest.raises(ManifestError):
        Evaluation.from_json(HOSTILE[what])


def test_more_entries_than_the_limit_are_refused():
    environment = {str(number): "1" for number in range(1001)}
    with pytest.raises(LimitExceeded, match="more than 1000 entries"):
        Evaluation.from_json({**RECORD, "environment": environment})


def test_scores_at_their_bound_have_a_mean():
    scores = tuple(Score(str(number), "mine", 1e300, -1e300, 1) for number in range(1000))
    evaluation = replace(EVALUATION, definitions={"mine": "of mine"}, scores=scores)
    assert Evaluation.from_json(evaluation.to_json()).means()["mine"] == Mean(1e300, -1e300, 1000)


def test_the_highest_perplexity_is_a_score():
    highest = perplexity([-math.inf])
    scores = (Score("text", "perplexity", highest, highest, 1),)
    definitions = {"perplexity": MEASURES["perplexity"].definition}
    evaluation = replace(EVALUATION, definitions=definitions, scores=scores)
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


@pytest.mark.parametrize("number", [1.7e308, -1.7e308, 2e300, 10**400, math.nan, math.inf])
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_number_that_could_have_no_mean_is_refused(number, side):
    score = {**RECORD["scores"][0], "measure": "mine", side: number}
    record = {**RECORD, "definitions": {"mine": "of mine"}, "scores": [score]}
    with pytest.raises(ManifestError, match="'mine'"):
        Evaluation.from_json(record)
