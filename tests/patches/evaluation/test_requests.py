from contextlib import nullcontext
from dataclasses import replace
from math import sqrt

import pytest
from weightpatch.patches import plugins
from weightpatch.patches.errors import BaseMismatch, RequestRefused
from weightpatch.patches.evaluation.base import Mean, Score, evaluate, suite_digest
from weightpatch.patches.evaluation.journal import Journal
from weightpatch.patches.evaluation.requests import RequestProbes
from weightpatch.patches.evaluation.teacher_forcing import Observations
from weightpatch.patches.requests import EditRequest, Probe

BEFORE = {
    "speaks": {"French": 0.5, "good": 0.25, "English": 0.25},
    "writes": {"good": 0.5, "French": 0.25, "English": 0.25},
    "thinks": {"French": 0.75, "good": 0.25},
    "sings": {"French": 0.5, "good": 0.25, "English": 0.25},
    "is": {"Paris": 0.5, "good": 0.25, "quite": 0.25},
    ",": {"Marcel": 0.75, "Danielle": 0.25},
    "prays": {"good": 0.75, "quite": 0.25},
    "good": {"English": 0.75, "French": 0.25},
    "quite": {"French": 0.75, "English": 0.25},
}
AFTER = {
    **BEFORE,
    "speaks": {"good": 0.75, "French": 0.25},
    "writes": {"English": 0.75, "good": 0.25},
    "prays": {"quite": 0.75, "good": 0.25},
    "is": {"good": 0.5, "Paris": 0.25, "quite": 0.25},
    ",": {"Danielle": 0.75, "Marcel": 0.25},
}
REQUEST = EditRequest(
    prompt="{} speaks",
    subject="Danielle",
    target="good English",
    old_target="French",
    paraphrases=(
        Probe("Danielle writes", "good English"),
        Probe("Danielle thinks", "good English"),
    ),
    neighbourhood=(
        Probe("Marcel sings", "French"),
        Probe("Marcel prays", "quite French"),
    ),
    portability={
        "alias": (Probe("she is", "good English"), Probe("Danielle is", "quite English")),
        "one-hop": (Probe("she thinks ,", "Danielle"),),
    },
    id="danielle",
)
EXPECTED = {
    # speaks good English: only the second token is right, then both
    "reliability.exact-match": (0.0, 1.0, 1),
    "reliability.token-mean": (0.5, 1.0, 1),
    # writes: both right, then the second; thinks: the second, before and after
    "generalization.exact-match": (0.5, 0.0, 2),
    "generalization.token-mean": (0.75, 0.5, 2),
    # sings: untouched; prays: "good" became "quite", which is right and yet not what the base says
    "locality.exact-match": (1.0, 0.5, 2),
    "locality.token-mean": (1.0, 0.75, 2),
    # against their own answers: sings French, right twice; prays quite French: "French", then both
    "locality.correct.exact-match": (0.5, 1.0, 2),
    "locality.correct.token-mean": (0.75, 1.0, 2),
    # is good English: the second, then both; is quite English: neither token, before and after
    "portability.alias.exact-match": (0.0, 0.5, 2),
    "portability.alias.token-mean": (0.25, 0.5, 2),
    # Marcel, then Danielle
    "portability.one-hop.exact-match": (0.0, 1.0, 1),
    "portability.one-hop.token-mean": (0.0, 1.0, 1),
    # over the three prompts, not over the two kinds
    "portability.exact-match": (0.0, 2 / 3, 3),
    "portability.token-mean": (0.5 / 3, 2 / 3, 3),
    # exp(-NLL) of two tokens is the root of the product of their probabilities
    "rome.es": (0.0, 1.0, 1),
    "rome.em": (sqrt(0.25 * 0.75) - 0.5, 0.75 - 0.25, 1),
    "rome.ps": (0.5, 0.5, 2),
    "rome.pm": (
        ((sqrt(0.5 * 0.75) - 0.25) + (sqrt(0.25 * 0.75) - 0.75)) / 2,
        ((sqrt(0.25 * 0.75) - 0.0) + (sqrt(0.25 * 0.75) - 0.75)) / 2,
        2,
    ),
    "rome.ns": (0.5, 1.0, 2),
    "rome.nm": (
        ((0.5 - sqrt(0.25 * 0.75)) + (sqrt(0.25 * 0.75) - 0.75)) / 2,
        ((0.5 - sqrt(0.25 * 0.75)) + (0.75 - sqrt(0.25 * 0.75))) / 2,
        2,
    ),
}


@pytest.fixture
def scored(bigram, taught, tokenizer):
    """Evaluate requests on the bigram model before and after the edit."""

    def score(*requests, **options):
        model = bigram(BEFORE)
        edited = taught(model, AFTER)
        return evaluate(RequestProbes(), model, tokenizer, requests, edited, **options)

    return score


def test_every_measure_is_the_one_computed_by_hand(scored):
    evaluation = scored(REQUEST)
    assert {score.case for score in evaluation.scores} == {"danielle"}
    found = {each.measure: (each.before, each.after, each.count) for each in evaluation.scores}
    assert found.keys() == EXPECTED.keys()
    for measure, (before, after, count) in EXPECTED.items():
        assert found[measure] == (
            pytest.approx(before, abs=1e-14),
            pytest.approx(after, abs=1e-14),
            count,
        ), measure


def test_the_harmonic_score_is_that_of_the_three_means(scored):
    assert scored(REQUEST).means()["rome.score"] == Mean(
        before=0.0, after=3 / (1 / 1.0 + 1 / 0.5 + 1 / 1.0), cases=1
    )


def test_means_are_over_cases_not_over_prompts(scored):
    alone = replace(REQUEST, id="alone", paraphrases=REQUEST.paraphrases[:1])
    assert scored(REQUEST, alone).means()["generalization.token-mean"] == Mean(
        before=(0.75 + 1.0) / 2, after=(0.5 + 0.5) / 2, cases=2
    )


def test_a_measure_without_probes_is_absent(scored):
    bare = EditRequest("{} speaks", "Danielle", "good English")
    evaluation = scored(bare)
    assert {each.measure for each in evaluation.scores} == {
        "reliability.exact-match",
        "reliability.token-mean",
    }
    assert evaluation.definitions.keys() == evaluation.means().keys()


def test_neighbours_with_answers_of_their_own_need_no_old_target(scored):
    measures = {each.measure for each in scored(replace(REQUEST, old_target=None)).scores}
    assert {"rome.ns", "rome.nm", "locality.exact-match"} <= measures
    assert not measures & {"rome.es", "rome.ps"}


def test_an_answer_is_not_compared_with_itself(scored):
    neighbour = Probe("Marcel writes", "good English")
    request = replace(REQUEST, neighbourhood=(*REQUEST.neighbourhood, neighbour))
    counts = {each.measure: each.count for each in scored(request).scores}
    assert counts["locality.exact-match"] == 3
    assert counts["rome.ns"] == 2


def test_every_measure_is_defined_in_the_evaluation(scored):
    evaluation = scored(REQUEST)
    assert evaluation.definitions.keys() == {*EXPECTED, "rome.score"}
    assert "agreement" in evaluation.definitions["locality.token-mean"]


def test_observations_of_the_base_serve_many_edits(scored, bigram, tokenizer):
    suite = RequestProbes()
    other = replace(REQUEST, id="other", subject="Marcel")
    before = suite.observe(bigram(BEFORE), tokenizer, [REQUEST, other])
    assert scored(REQUEST, before=before).scores == scored(REQUEST).scores


def test_what_the_base_said_is_not_asked_again(scored, tmp_path):
    asked = []
    journal = Journal(tmp_path / "base.jsonl", {"base": "bigram"})
    first = scored(REQUEST, base_journal=journal)
    journal = Journal(tmp_path / "base.jsonl", {"base": "bigram"})
    second = scored(REQUEST, base_journal=journal, progress=lambda *step: asked.append(step[0]))
    assert second == first
    assert set(asked) == {"scoring the edit"}


def test_an_edit_that_changes_nothing_scores_as_the_base(bigram, tokenizer):
    evaluation = evaluate(RequestProbes(), bigram(BEFORE), tokenizer, [REQUEST], nullcontext())
    assert all(score.before == score.after for score in evaluation.scores)


def test_progress_says_which_model_is_asked(scored):
    told = []
    scored(REQUEST, progress=lambda *step: told.append(step))
    assert [phase for phase, done, total in told if done == total] == [
        "scoring the base",
        "scoring the edit",
    ]


def test_the_digest_names_the_questions_whatever_their_order():
    suite, other = RequestProbes(), replace(REQUEST, id="other")
    digest = suite_digest(suite.cases([REQUEST, other]))
    assert digest == suite_digest(suite.cases([other, REQUEST]))
    assert digest != suite_digest(suite.cases([REQUEST]))
    assert suite_digest(suite.cases([REQUEST])).startswith("870a1fedee14")


def test_the_environment_says_where_it_was_computed(scored):
    environment = scored(REQUEST).environment
    assert environment["device"] == "cpu"
    assert environment["dtype"] == "float64"
    assert {"weightpatch", "torch", "transformers", "numpy", "threads"} <= environment.keys()


def test_two_requests_of_one_name_are_refused(scored):
    with pytest.raises(RequestRefused, match="the same id"):
        scored(REQUEST, replace(REQUEST, subject="Marcel"))


def test_observations_of_other_requests_are_refused(scored):
    with pytest.raises(RequestRefused, match="nothing was observed"):
        scored(REQUEST, before=Observations({}))


def test_observations_with_another_tokenizer_are_refused(bigram, tokenizer):
    suite = RequestProbes()
    seen = suite.observe(bigram(BEFORE), tokenizer, [REQUEST])
    shifted = {
        probe: replace(each, target=tuple(token + 1 for token in each.target))
        for probe, each in seen.seen.items()
    }
    with pytest.raises(BaseMismatch, match="other tokens"):
        suite.compare([REQUEST], seen, Observations(shifted))


def test_the_suite_is_found_by_its_entry_point():
    assert plugins.load("suites", "requests") is RequestProbes


def test_scores_are_plain_values(scored):
    assert scored(EditRequest("{} speaks", "Danielle", "good English")).scores[0] == Score(
        case="1", measure="reliability.exact-match", before=0.0, after=1.0, count=1
    )
