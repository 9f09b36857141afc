"""The loss of ROME's value, against the whole model asked plainly, and its gradient."""

import math

import pytest
import torch
from weightpatch.patches.errors import NonFinite
from weightpatch.patches.methods.locating.value import Objective, find_value
from weightpatch.patches.methods.rome import RomeHyperparameters
from weightpatch.patches.methods.running.decoder import Continuation, run_up_to
from weightpatch.patches.methods.running.prompts import align, tokenise
from weightpatch.patches.progress import silent

LAYER = 1
SCALE = 2.5
SETTINGS = RomeHyperparameters(layer=LAYER, kl_factor=0.3, weight_decay=0.2, clamp=3.0)
PREFIXES = ("", "What a lovely day it is in the garden! ", "Łódź. ")


def rows_of(model):
    rows = [
        tokenise(
            model, "The mother tongue of {} is", "Marie Curie", prefix=prefix, target="English"
        )
        for prefix in PREFIXES
    ]
    return [*rows, tokenise(model, "{} is a", "Marie Curie")]


def objective_of(model, settings=SETTINGS):
    model.model.requires_grad_(False)
    rows = rows_of(model)
    batch = align(rows, model.device)
    with torch.no_grad():
        states = run_up_to(model, LAYER, batch.ids, batch.mask, batch.positions)
    tail = Continuation(model, LAYER, batch, states)
    return Objective(model, tail, rows, batch, SCALE, settings)


def logits_with(model, row, ids, delta):
    def add(_projection, _inputs, output):
        changed = output.clone()
        changed[:, row.subject] += delta
        return changed

    with model.projection(LAYER).register_forward_hook(add):
        return model.model(input_ids=torch.tensor([ids])).logits[0]


def kl(one, other):
    """KL(one ‖ other) of log-probabilities."""
    pairs = zip(one.tolist(), other.tolist(), strict=True)
    return sum(math.exp(p) * (p - q) for p, q in pairs)


def plain_terms(model, delta):
    """Target, drift and decay, each row by itself, all of it, δ added to the MLP's own output."""
    *rows, essence = rows_of(model)
    target = 0.0
    for row in rows:
        ids = row.ids + row.target
        chances = logits_with(model, row, ids, delta).log_softmax(-1)
        picked = [chances[len(row.ids) + i - 1, token] for i, token in enumerate(row.target)]
        target = target - sum(picked) / len(picked) / len(rows)
    now = logits_with(model, essence, essence.ids, delta)[-1].log_softmax(-1)
    before = logits_with(model, essence, essence.ids, torch.zeros_like(delta))[-1].log_softmax(-1)
    decay = sum((d / SCALE) ** 2 for d in delta.tolist())
    return float(target), 0.3 * kl(now, before), 0.2 * decay


def noise(model, seed=1, size=1.0):
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(model.model.config.hidden_size, generator=generator)


def test_the_loss_is_that_of_the_whole_model(every):
    loss = objective_of(every)
    for delta in (torch.zeros_like(noise(every)), noise(every), noise(every, 2, 4.0)):
        with torch.no_grad():
            assert loss(delta).total.item() == pytest.approx(
                sum(plain_terms(every, delta)), rel=1e-4
            )


def test_each_term_is_that_of_the_whole_model(every):
    """A term that is small beside the others is seen too; the drift is KL(edited ‖ base)."""
    every.model.double()
    loss = objective_of(every)
    for seed in (1, 2, 3):
        delta = noise(every, seed, 4.0).double()
        with torch.no_grad():
            found = loss(delta)
        terms = [found.target.item(), found.drift.item(), found.decay.item()]
        assert terms == pytest.approx(plain_terms(every, delta), rel=1e-6)


def test_without_a_change_nothing_drifts(every):
    with torch.no_grad():
        loss = objective_of(every)(torch.zeros_like(noise(every)))
    assert loss.drift.item() == pytest.approx(0.0, abs=1e-6)
    assert loss.decay.item() == 0.0


def test_the_gradient_is_that_of_finite_differences(every):
    every.model.double()
    loss = objective_of(every)
    delta = noise(every, 3).double().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(delta).total, delta)
    for seed in range(4):
        way = noise(every, 10 + seed).double()
        with torch.no_grad():
            ahead = loss(delta + 1e-3 * way).total
            behind = loss(delta - 1e-3 * way).total
        slope = ((ahead - behind) / 2e-3).item()
        assert slope == pytest.approx((gradient @ way).item(), rel=1e-3, abs=1e-3)


def test_the_search_makes_the_target_likely(every):
    settings = RomeHyperparameters(layer=LAYER, steps=60, clamp=1e3, weight_decay=0.0)
    loss = objective_of(every, settings)
    delta = find_value(loss, settings, silent)
    with torch.no_grad():
        before, after = loss(torch.zeros_like(delta)).target, loss(delta).target
    assert after < before - 0.3


def test_the_clamp_holds(llama):
    settings = RomeHyperparameters(layer=LAYER, clamp=0.1, weight_decay=0.0)
    delta = find_value(objective_of(llama, settings), settings, silent)
    assert delta.norm().item() == pytest.approx(0.1 * SCALE, rel=1e-5)


def test_the_search_ends_when_the_target_is_likely_enough(llama):
    settings = RomeHyperparameters(layer=LAYER, loss_threshold=100.0)
    assert not find_value(objective_of(llama, settings), settings, silent).any()


def test_a_search_that_diverges_is_an_error(llama):
    with torch.no_grad():
        llama.head.weight[3] = torch.inf
    with pytest.raises(NonFinite, match="diverged"):
        find_value(objective_of(llama), SETTINGS, silent)
