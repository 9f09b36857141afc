"""A training's losses and scores, against the whole model with dense ΔW added to its weights."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from weightpatch.patches.errors import NonFinite, RequestRefused
from weightpatch.patches.evaluation.encoding import encode
from weightpatch.patches.methods.hypernetworks.records import prepare
from weightpatch.patches.methods.hypernetworks.settings import TrainingHyperparameters
from weightpatch.patches.methods.hypernetworks.tail import Tail
from weightpatch.patches.methods.hypernetworks.training import Scores, Training, split
from weightpatch.patches.methods.hypernetworks.transform import Transform
from weightpatch.patches.methods.hypernetworks.weights import edited_weights
from weightpatch.patches.methods.ke import Lagrangian
from weightpatch.patches.progress import silent
from weightpatch.patches.requests import EditRequest, Probe

RATE = 0.5
SETTINGS = TrainingHyperparameters(layers=2, steps=1, batch_size=3, learning_rate=1e-15)
REQUESTS = (
    EditRequest(
        "{} was born in",
        "Marie Curie",
        "Pisa",
        paraphrases=(Probe("In the garden, Marie Curie was born in", "Pisa"),),
        neighbourhood=(Probe("An actor speaks", "English"),),
    ),
    EditRequest(
        "The capital of {} is",
        "France",
        "Łódź",
        neighbourhood=(Probe("The tower of Pisa stands in", "Poland"),),
    ),
    EditRequest(
        "{} grew up",
        "She",
        "in",
        paraphrases=(Probe("What a lovely day it is! She grew up", "in"),),
        neighbourhood=(Probe("Danielle Darrieux is", "a physicist"),),
    ),
)
FIRST, SECOND, THIRD = REQUESTS
MANY = (
    replace(FIRST, paraphrases=(*FIRST.paraphrases, Probe("So, she was born in", "Pisa"))),
    replace(SECOND, neighbourhood=(*SECOND.neighbourhood, Probe("An actor grew up", "in Paris"))),
    THIRD,
)


class Watched(Lagrangian):
    """Keeps what it is told of each step."""

    def __init__(self, margin=0.5, multiplier=1.0, rate=0.0):
        super().__init__(margin, multiplier, rate)
        self.told = []

    def __call__(self, edit, drift):
        self.told.append((edit.item(), drift.item()))
        return super().__call__(edit, drift)


class Following(Watched):
    """Keeps what log r of each weight was before each step."""

    def __init__(self, *args):
        super().__init__(*args)
        self.network, self.logs = None, []

    def __call__(self, edit, drift):
        self.logs.append([own.log_rate.item() for own in self.network.own])
        return super().__call__(edit, drift)


class Turning(Watched):
    """Lowers the edit loss for some steps, and raises it from then on."""

    def __init__(self, lowering):
        super().__init__()
        self._lowering = lowering

    def __call__(self, edit, drift):
        super().__call__(edit, drift)
        return edit if len(self.told) <= self._lowering else -1e3 * edit

    def judge(self, scores):
        return scores.edit


class Steeper(Watched):
    """A loss that is steeper by `factor` at each step."""

    def __init__(self, factor):
        super().__init__()
        self._factor = factor

    def __call__(self, edit, drift):
        super().__call__(edit, drift)
        return 1e4 * self._factor ** len(self.told) * edit

    def judge(self, scores):
        return scores.edit


class Trial:
    """A training of a fresh network, whose edits are ΔW = -RATE · ∇W, in float64."""

    def __init__(self, model, weighing, requests=REQUESTS, settings=SETTINGS):
        model.model.double().requires_grad_(False)
        self.tail = Tail(model, edited_weights(model, settings.layers))
        self.generator = torch.Generator().manual_seed(0)
        self.network = Transform(self.tail.weights, rank=3, rate=RATE)
        self.network.initialise(self.generator)
        self.network.double()
        self.records = prepare(self.tail, requests, settings, self.generator, silent)
        self.training = Training(self.tail, self.network, weighing, settings, self.generator)

    def run(self):
        return self.training.run(self.records, self.records, silent)

    def parameters(self):
        return {name: value.clone() for name, value in self.network.state_dict().items()}


def chances(model, probe):
    """Tokens of the answer, and log-probabilities where each of them is asked for."""
    (forced,) = encode(model.tokenizer, [probe])
    logits = model.model(input_ids=torch.tensor([forced.inputs])).logits[0]
    return torch.tensor(forced.target), logits[forced.start - 1 :].log_softmax(-1)


def nll(model, probe):
    tokens, found = chances(model, probe)
    return -found.gather(1, tokens[:, None]).mean()


def right(model, probe):
    tokens, found = chances(model, probe)
    return bool((found.argmax(-1) == tokens).all())


def kl(one, other):
    """KL(one ‖ other), a mean over places, in NumPy."""
    one, other = one.numpy(), other.numpy()
    return float((np.exp(one) * (one - other)).sum(-1).mean())


def dense(model, request):
    """The scores of one request alone, ∇W being autograd's of the whole model."""
    model.model.double().requires_grad_(False)
    names = [f"{each.module}.weight" for each in edited_weights(model, SETTINGS.layers)]
    weights = [model.model.get_parameter(name).requires_grad_(True) for name in names]
    own = Probe(request.text, request.target)
    gradients = torch.autograd.grad(nll(model, own), weights)
    model.model.requires_grad_(False)
    copies = [weight.clone() for weight in weights]
    others = request.neighbourhood
    before = [chances(model, probe)[1] for probe in others]
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.sub_(RATE * gradient)
    after = [chances(model, probe)[1] for probe in others]
    pairs = list(zip(before, after, strict=True))
    carried = [right(model, probe) for probe in request.paraphrases]
    scores = Scores(
        edit=np.mean([nll(model, probe).item() for probe in (own, *request.paraphrases)]),
        drift=np.mean([kl(old, new) for old, new in pairs]),
        reliability=float(right(model, own)),
        generalization=np.mean(carried) if carried else math.nan,
        locality=np.mean([bool((old.argmax(-1) == new.argmax(-1)).all()) for old, new in pairs]),
    )
    for weight, copied in zip(weights, copies, strict=True):
        weight.copy_(copied)
    return scores


def test_the_losses_of_a_step_are_those_of_the_paper(every):
    """L_edit is that of prompt and paraphrase, L_loc is KL(base ‖ edited) on a neighbour."""
    alone = [dense(every, request) for request in REQUESTS]
    watched = Watched()
    Trial(every, watched).run()
    ((edit, drift),) = watched.told
    assert edit == pytest.approx(np.mean([one.edit for one in alone]), rel=1e-6)
    assert drift == pytest.approx(np.mean([one.drift for one in alone]), rel=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_scores_are_means_over_records(every, size):
    alone = [dense(every, request) for request in MANY]
    settings = replace(SETTINGS, batch_size=size)
    trial = Trial(every, Watched(), MANY, settings)
    found = trial.training.score(trial.records)
    assert found == pytest.approx(Scores(*np.nanmean(alone, axis=0)), rel=1e-6)


def test_the_sample_has_answers_of_both_kinds(every):
    """So that no share is right by being 0 or 1 throughout."""
    alone = [dense(every, request) for request in MANY]
    assert {one.reliability for one in alone} == {0.0, 1.0}


def test_scores_without_a_paraphrase_say_nothing_of_generalisation(llama):
    trial = Trial(llama, Watched(), [SECOND])
    expected = dense(llama, SECOND)._replace(generalization=0.0)
    assert trial.training.score(trial.records) == pytest.approx(expected, rel=1e-6)


def test_a_step_draws_one_paraphrase_and_one_neighbour(llama):
    """Where hardly anything is learnt, a step tells which it has drawn."""
    neighbours = (*FIRST.neighbourhood, Probe("The tower of Pisa is", "in Paris"))
    request = replace(MANY[0], neighbourhood=neighbours)
    known = set()
    for pair in product(request.paraphrases, neighbours):
        paraphrase, neighbour = ((probe,) for probe in pair)
        one = dense(llama, replace(request, paraphrases=paraphrase, neighbourhood=neighbour))
        known.add((round(one.edit, 6), round(one.drift, 6)))
    assert len(known) == 4
    watched = Watched()
    Trial(llama, watched, [request], replace(SETTINGS, steps=40, evaluate_every=40)).run()
    assert {(round(edit, 6), round(drift, 6)) for edit, drift in watched.told} == known


def test_each_record_has_its_turn(llama):
    alone = [round(dense(llama, request).edit, 6) for request in REQUESTS]
    watched = Watched()
    settings = replace(SETTINGS, steps=12, batch_size=1, evaluate_every=12)
    Trial(llama, watched, settings=settings).run()
    seen = [round(edit, 6) for edit, _ in watched.told]
    rounds = [seen[start : start + 3] for start in range(0, 12, 3)]
    assert all(sorted(each) == sorted(alone) for each in rounds)
    assert len(set(map(tuple, rounds))) > 1


@pytest.mark.parametrize(("share", "way"), [(2.0, -1), (0.5, 1)])
def test_the_multiplier_follows_what_drifts_in_each_step(llama, share, way):
    """λ + rate · (KL - m): up where more drifts than the margin allows, down where less does."""
    drift = np.mean([dense(llama, request).drift for request in REQUESTS])
    weighing = Lagrangian(margin=share * drift, multiplier=1.0, rate=0.7)
    Trial(llama, weighing, settings=replace(SETTINGS, steps=3)).run()
    assert weighing.multiplier == pytest.approx(1 + 3 * 0.7 * (1 - share) * drift, rel=1e-6)
    assert math.copysign(1, weighing.multiplier - 1) == way


def test_a_step_goes_down_the_weighed_loss(every):
    """Adam's first step is as long as the learning rate, against the sign of the derivative."""
    weighing = Following(0.01, 3.0)
    settings = replace(SETTINGS, steps=2, learning_rate=1e-3)
    trial = Trial(every, weighing, settings=settings)
    weighing.network = trial.network
    slopes = []
    for own in trial.network.own:
        losses = []
        for moved in (1e-4, -1e-4):
            with torch.no_grad():
                own.log_rate += moved
                scores = trial.training.score(trial.records)
                own.log_rate -= moved
            losses.append(scores.edit + 3.0 * scores.drift)
        slopes.append(losses[0] - losses[1])
    trial.run()
    first, second = weighing.logs
    expected = -1e-3 * np.sign(slopes)
    np.testing.assert_allclose(np.subtract(second, first), expected, rtol=1e-3)


def test_the_learning_rate_falls_along_half_a_cosine(llama):
    """Under a gradient that hardly changes, Adam's steps are as long as the learning rate."""
    weighing = Following()
    settings = replace(SETTINGS, steps=6, learning_rate=1e-5, evaluate_every=6)
    trial = Trial(llama, weighing, settings=settings)
    weighing.network = trial.network
    trial.run()
    expected = [1e-5 * (1 + math.cos(math.pi * step / 6)) / 2 for step in range(5)]
    moved = np.abs(np.diff(weighing.logs, axis=0))
    np.testing.assert_allclose(moved, np.tile(expected, (moved.shape[1], 1)).T, rtol=1e-2)


def test_a_long_gradient_is_shortened(llama):
    """However steep the loss of a step, its gradient is then as long as those before."""
    settings = replace(SETTINGS, steps=5, learning_rate=1e-2, clip=0.5)
    found = []
    for factor in (1.0, 10.0):
        trial = Trial(llama, Steeper(factor), settings=settings)
        trained = trial.run()
        found.append(trial.parameters())
        assert trained.kept == 5
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-4, atol=1e-6)


def test_the_best_that_was_seen_is_kept(llama):
    """Two looks in a row that see nothing better end the training."""
    settings = replace(
        SETTINGS, steps=40, learning_rate=1e-2, evaluate_every=2, patience=2, clip=1e9
    )
    trial = Trial(llama, Turning(6), settings=settings)
    trained = trial.run()
    assert (trained.kept, trained.steps) == (6, 10)
    assert trained.after.edit < trained.before.edit
    assert trial.training.score(trial.records) == pytest.approx(trained.after, rel=1e-9)


def test_a_training_that_only_worsens_gives_the_editor_it_began_with(llama):
    settings = replace(SETTINGS, steps=40, learning_rate=1e-2, evaluate_every=3, patience=2)
    trial = Trial(llama, Turning(0), settings=settings)
    start = trial.parameters()
    trained = trial.run()
    assert (trained.kept, trained.steps) == (0, 6)
    assert trained.after == trained.before
    assert all(torch.equal(value, start[name]) for name, value in trial.parameters().items())


def test_the_last_step_is_looked_at_too(llama):
    settings = replace(SETTINGS, steps=3, learning_rate=1e-2, evaluate_every=2)
    trained = Trial(llama, Turning(3), settings=settings).run()
    assert (trained.kept, trained.steps) == (3, 3)


def test_a_training_that_diverges_is_an_error(llama):
    trial = Trial(llama, Lagrangian(0.5, math.inf, 0.0))
    with pytest.raises(NonFinite, match="diverged"):
        trial.run()


@pytest.mark.parametrize(("share", "held"), [(0.01, 1), (0.25, 3), (0.5, 6)])
def test_records_are_held_out_by_the_seed(records, share, held):
    first, other = (split(records, share, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    taught, unseen = first
    assert len(unseen) == held
    assert {each.id for each in (*taught, *unseen)} == {each.id for each in records}
    assert len(taught) + held == len(records)
    assert first != other
    assert first == split(records, share, torch.Generator().manual_seed(0))


def test_one_record_cannot_be_split():
    with pytest.raises(RequestRefused, match="fewer than two"):
        split([FIRST], 0.5, torch.Generator())
