from dataclasses import replace

import numpy as np
import pytest
import torch
from method_fixtures import ACTOR, MARIE, PISA, state_of
from weightpatch.patches.errors import NonFinite, RequestRefused
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.ft import FineTuning, FineTuningHyperparameters
from weightpatch.patches.methods.running.borrowing import add
from weightpatch.patches.progress import silent

LAYER = 2
SETTINGS = FineTuningHyperparameters(layer=LAYER, learning_rate=0.01, steps=8)
DENSE = replace(SETTINGS, rank=None)


@pytest.fixture
def edit(store):
    def run(model, *requests, settings=SETTINGS):
        return FineTuning().edit(
            model, requests, settings, seed=0, resources=Resources(store), progress=silent
        )

    return run


def operations(found, model):
    (name,) = found.operations
    assert name == model.tensor_name(LAYER)
    return found.operations[name]


def delta_of(found, model):
    """[out, in], the sum of all operations."""
    total = sum(each.rows(0, each.shape[0]) for each in operations(found, model))
    return total.T if model.architecture.transposed else total


def logits(model, ids):
    return model.model(input_ids=torch.tensor([ids])).logits[0]


def nll(model, request, objective="target"):
    """The plain run of the whole model; differentiable."""
    ids = model.tokenizer(request.text)["input_ids"]
    target = model.tokenizer(f" {request.target}")["input_ids"]
    chances = logits(model, ids + target).log_softmax(-1)
    places = [len(ids) - 1 + (i if objective == "target" else 0) for i in range(len(target))]
    return -chances[places, target].mean()


@pytest.mark.parametrize("objective", ["last", "target"])
def test_it_is_adam_on_the_weight_of_the_whole_model(every, edit, objective):
    """torch's own Adam on the weight itself, with the loss of plain runs, request by request."""
    settings = replace(DENSE, objective=objective, steps=3, norm_constraint=0.02)
    found = delta_of(edit(every, MARIE, ACTOR, settings=settings), every)
    weight = every.weight(LAYER)
    start = weight.detach().clone()
    adam = torch.optim.Adam([weight], lr=settings.learning_rate)
    for _ in range(3):
        adam.zero_grad()
        (sum(nll(every, each, objective) for each in (MARIE, ACTOR)) / 2).backward()
        adam.step()
        with torch.no_grad():
            weight.copy_(start + (weight - start).clamp(-0.02, 0.02))
    expected = (weight - start).detach().numpy()
    expected = expected.T if every.architecture.transposed else expected
    # Adam divides by the gradient's size: where that is next to nothing, its sign is rounding's.
    far = np.abs(found - expected) > 1e-3
    assert far.mean() < 0.01
    assert np.abs(expected).max() > 0.015


def test_no_entry_moves_further_than_the_norm_constraint(every, edit):
    free = np.abs(delta_of(edit(every, MARIE, settings=DENSE), every))
    bound = 0.011
    held = delta_of(edit(every, MARIE, settings=replace(DENSE, norm_constraint=bound)), every)
    assert free.max() > 2 * bound
    assert np.abs(held).max() == np.float32(bound)


def test_the_cut_delta_is_the_best_approximation_of_the_whole_one(every, edit):
    whole = delta_of(edit(every, MARIE, settings=DENSE), every)
    cut = edit(every, MARIE, settings=replace(SETTINGS, rank=3))
    (operation,) = operations(cut, every)
    assert (operation.kind, operation.size) == ("lowrank", 3)
    u, s, vt = np.linalg.svd(whole, full_matrices=False)
    np.testing.assert_allclose(delta_of(cut, every), (u[:, :3] * s[:3]) @ vt[:3], atol=1e-6)
    (error,) = cut.sampled["truncation"]
    assert error == pytest.approx(np.linalg.norm(s[3:]) / np.linalg.norm(s), rel=1e-6)
    assert 0 < error < 1


def test_a_dense_delta_is_not_cut(every, edit):
    found = edit(every, MARIE, settings=DENSE)
    (operation,) = operations(found, every)
    assert operation.kind == "dense"
    assert found.sampled == {}


def test_a_batch_goes_on_from_what_those_before_have_left_after_the_cut(llama, edit):
    settings = replace(SETTINGS, batch_size=2, rank=2)
    found = edit(llama, MARIE, ACTOR, PISA, settings=settings)
    first, second = operations(found, llama)
    assert [first.size, second.size] == [4, 2]
    assert [step.requests for step in found.steps] == [2, 1]
    assert len(found.sampled["truncation"]) == 2
    (together,) = operations(edit(llama, MARIE, ACTOR, settings=settings), llama)
    np.testing.assert_array_equal(first.rows(0, 32), together.rows(0, 32))
    add(llama.weight(LAYER), first)
    (then,) = operations(edit(llama, PISA, settings=settings), llama)
    np.testing.assert_array_equal(second.rows(0, 32), then.rows(0, 32))


def test_a_request_that_is_carried_out_already_changes_nothing(llama, edit):
    found = edit(llama, MARIE, settings=replace(SETTINGS, loss_threshold=100.0))
    (operation,) = operations(found, llama)
    assert operation.norm() == 0
    assert found.sampled == {"truncation": [0.0]}


def test_a_model_that_answers_with_nan_is_refused(llama, edit):
    with torch.no_grad():
        llama.weight(1).fill_(torch.nan)
    before = state_of(llama)
    with pytest.raises(NonFinite):
        edit(llama, MARIE)
    assert state_of(llama) == before


def test_the_highest_layer_can_be_edited_and_none_beyond(llama, edit):
    edit(llama, MARIE, settings=replace(SETTINGS, layer=3))
    with pytest.raises(RequestRefused, match="no layer 4") as refused:
        edit(llama, MARIE, settings=replace(SETTINGS, layer=4))
    assert refused.value.hint == "set layer to 3 or less"


@pytest.mark.parametrize(
    "changes", [{"layer": -1}, {"norm_constraint": 0.0}, {"rank": 0}, {"rank": 513}]
)
def test_hyperparameters_out_of_range_are_refused_by_name(changes):
    (name,) = changes
    with pytest.raises(RequestRefused, match=name):
        replace(SETTINGS, **changes)
