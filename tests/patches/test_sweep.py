"""Which layer is best: each edit alone, scored as it would be anywhere else."""

from dataclasses import replace

import pytest
import torch
from small_models import save_small_llama
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import load_model
from weightpatch.patches.draft import Origin
from weightpatch.patches.errors import RequestRefused, Unsupported
from weightpatch.patches.evaluation.base import Mean, evaluate
from weightpatch.patches.evaluation.requests import RequestProbes
from weightpatch.patches.live import patched
from weightpatch.patches.make import Recipe, make
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.requests import EditRequest, Probe
from weightpatch.patches.sweep import Plan, Trial, criterion, known, score_of, sweep

MARIE = EditRequest(
    "The mother tongue of {} is",
    "Marie Curie",
    "English",
    old_target="French",
    paraphrases=(Probe("Marie Curie speaks", "English"),),
    neighbourhood=(Probe("The mother tongue of Danielle is", "French"),),
)
ACTOR = EditRequest("{} was born in", "An actor", "Paris", old_target="Pisa", id="2")
QUICK = {"prefixes": "0", "steps": "3", "shrinkage": "1"}
RECIPE = Recipe("rome", QUICK, seed=3)
RESOURCES = Resources(KeyStatistics())


@pytest.fixture
def small(tmp_path):
    return load_model(Checkpoint.open(save_small_llama(tmp_path / "small")))


def ticking():
    """A clock on which a second passes with each look."""
    times = iter(range(1000))
    return lambda: float(next(times))


def test_each_layer_is_scored_as_create_and_eval_would_score_it(small, tmp_path):
    plan = Plan.of(small, RECIPE, [2, 0])
    assert plan.edits([MARIE]) == 2
    trials = list(sweep(small, [MARIE], plan, RESOURCES, ticking()))
    assert [trial.layers for trial in trials] == [(2,), (0,)]
    for trial in trials:
        folder = tmp_path / str(trial.layers[0])
        folder.mkdir()
        recipe = Recipe("rome", {**QUICK, "layer": str(trial.layers[0])}, seed=3)
        origin = Origin("acme/one", author="tester", created="2026-01-01T00:00:00Z")
        patch = make(folder, small, [MARIE], recipe, origin, RESOURCES).as_patch()
        suite = RequestProbes()
        expected = evaluate(
            suite, small.model, small.tokenizer, [MARIE], patched(small.model, patch)
        )
        assert trial.means == expected.means()
        assert (trial.seconds, trial.error) == (1.0, None)
    assert trials[0].means != trials[1].means


def test_the_model_stays_as_it_was(small):
    before = {name: tensor.clone() for name, tensor in small.model.state_dict().items()}
    list(sweep(small, [MARIE, ACTOR], Plan.of(small, RECIPE, [1]), RESOURCES, ticking()))
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in small.model.state_dict().items()
    )


def test_a_layer_that_refuses_an_edit_says_so_and_the_others_are_tried(small):
    plan = Plan.of(small, RECIPE, [3, 1])
    refused, tried = sweep(small, [MARIE], plan, RESOURCES, ticking())
    assert refused.error == "1: layer 3 cannot be edited"
    assert refused.means == {}
    assert score_of(refused, criterion([refused, tried])) is None
    assert tried.error is None


def test_by_default_layers_are_spread_and_the_usual_one_is_among_them(small):
    assert Plan.of(small, RECIPE, None).windows == ((0,), (1,), (2,))
    usual = Plan.of(small, Recipe("rome", {"layer": "1"}), None).windows
    assert (1,) in usual


def test_a_method_with_several_layers_gets_windows_of_as_many(small):
    plan = Plan.of(small, Recipe("memit", {"layers": "0,1"}), [0, 1, 2])
    assert plan.windows == ((0, 1), (1, 2), (2, 3))
    assert plan.settings((1, 2)) == {"layers": "1,2"}


@pytest.mark.parametrize(("layers", "named"), [([-1], "-1"), ([1, 4], "4")])
def test_a_layer_that_the_model_has_not_is_refused(small, layers, named):
    with pytest.raises(RequestRefused, match=f"no layer {named}$"):
        Plan.of(small, RECIPE, layers)


def test_a_method_without_layers_is_refused(small):
    with pytest.raises(Unsupported, match="kn has no layer to choose"):
        Plan.of(small, Recipe("kn"), None)


def test_a_setting_that_is_wrong_is_refused_before_the_work(small):
    with pytest.raises(RequestRefused, match="no hyperparameter 'stepz'"):
        Plan.of(small, Recipe("rome", {"stepz": "1"}), [1])


def test_known_are_those_whose_old_answer_the_base_gives(small):
    ids = small.tokenizer(MARIE.text)["input_ids"]
    with torch.no_grad():
        token = small.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax().item()
    answer = small.tokenizer.decode([token])
    assert answer not in ("French", "Pisa")
    answered = replace(MARIE, old_target=answer, id="answered")
    unasked = replace(MARIE, old_target=None, id="unasked")
    more = replace(answered, id="more")
    assert known(small, [unasked, MARIE, answered, more], 5) == (answered, more)
    assert known(small, [unasked, MARIE, answered, more], 1) == (answered,)
    with pytest.raises(RequestRefused, match="none of the requests"):
        known(small, [unasked, MARIE], 5)


def trial(layers=(1,), error=None, **means):
    measures = {name.replace("_", "."): Mean(0.0, value, 1) for name, value in means.items()}
    return Trial(layers, measures, 1.0, error)


def test_the_criterion_is_the_harmonic_mean_of_es_ps_and_ns():
    one = trial(rome_es=1.0, rome_ps=0.5, rome_ns=0.25)
    assert criterion([one]) == ("rome.es", "rome.ps", "rome.ns")
    assert score_of(one, criterion([one])) == pytest.approx(3 / 7)


def test_without_them_it_is_that_of_reliability_and_what_else_there_is():
    names = {"reliability.exact-match": 1.0, "locality.exact-match": 0.5, "rome.es": 1.0}
    one = Trial((1,), {name: Mean(0.0, value, 1) for name, value in names.items()}, 1.0)
    assert criterion([one]) == ("reliability.exact-match", "locality.exact-match")
    assert score_of(one, criterion([one])) == pytest.approx(2 / 3)


def test_of_layers_where_nothing_worked_there_is_no_score():
    assert criterion([trial(error="no")]) == ()
    assert score_of(trial(), ()) is None
