import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from method_fixtures import MARIE, bytes_of, carry_out
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.kn import KnHyperparameters, KnowledgeNeurons
from weightpatch.patches.methods.locating.attribution import attributions
from weightpatch.patches.methods.running.borrowing import borrowed
from weightpatch.patches.methods.running.prompts import tokenise
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.progress import silent
from weightpatch.patches.requests import Probe

SETTINGS = KnHyperparameters(steps=4, prefixes=2, prefix_length=4)


def edit(model, request, settings=SETTINGS):
    resources = Resources(KeyStatistics())
    return KnowledgeNeurons().edit(
        model, [request], settings, seed=0, resources=resources, progress=silent
    )


def row_of(model, *, prefix=""):
    return tokenise(model, "The tongue of {} is", "Marie Curie", prefix=prefix, target="French")


def chance(model, row, layer, neurons):
    """p(target | prompt) in a whole, plain run with these neurons at the prompt's last token."""

    def put(_module, inputs):
        changed = inputs[0].clone()
        changed[:, len(row.ids) - 1] = neurons
        return (changed,)

    with model.projection(layer).register_forward_pre_hook(put), torch.no_grad():
        logits = model.model(input_ids=torch.tensor([row.given])).logits[0].double()
    chances = logits.log_softmax(-1)
    places = range(len(row.ids) - 1, len(row.given))
    return math.exp(sum(chances[i, token] for i, token in zip(places, row.target, strict=True)))


def dense(operation, model):
    """Its delta as [out, in]."""
    delta = operation.rows(0, operation.shape[0])
    return delta.T if model.architecture.transposed else delta


def test_attributions_are_the_mean_gradient_along_the_way_times_the_neuron(every):
    """Against central differences of a plain run, at each of the three points of the sum."""
    row = row_of(every)
    with borrowed(every):
        (found,), (inner,) = attributions(every, [row], 3)
    for layer in (0, every.layer_count - 1):
        whole = torch.from_numpy(inner[layer])
        for neuron in np.argsort(-np.abs(found[layer]))[[0, 1, 5]]:
            step = torch.zeros_like(whole)
            step[neuron] = 0.02
            slopes = [
                (chance(every, row, layer, k / 3 * whole + step)
                 - chance(every, row, layer, k / 3 * whole - step)) / 0.04
                for k in (1, 2, 3)
            ]  # fmt: skip
            expected = whole[neuron].item() * np.mean(slopes)
            assert found[layer][neuron] == pytest.approx(expected, rel=0.02, abs=1e-9)


def test_attributions_of_a_layer_add_up_to_what_its_neurons_do(every):
    row = row_of(every)
    with borrowed(every):
        (found,), (inner,) = attributions(every, [row], 200)
    for layer in range(every.layer_count):
        whole = torch.from_numpy(inner[layer])
        difference = chance(every, row, layer, whole) - chance(every, row, layer, 0 * whole)
        largest = float(np.abs(found[layer]).sum())
        assert found[layer].sum() == pytest.approx(difference, rel=0.02, abs=0.01 * largest)


def test_rows_of_different_lengths_are_attributed_as_if_alone(every):
    rows = [row_of(every, prefix=prefix) for prefix in ("", "What a lovely day. ")]
    with borrowed(every):
        together, inner = attributions(every, rows, 3)
        for index, row in enumerate(rows):
            (alone,), (own,) = attributions(every, [row], 3)
            np.testing.assert_allclose(inner[index], own, rtol=1e-3, atol=1e-5)
            np.testing.assert_allclose(
                together[index], alone, rtol=1e-2, atol=1e-3 * np.abs(alone).max()
            )


def test_the_update_is_the_formula_of_the_paper(every):
    """λ₂ e(new) - λ₁ e(old), in the columns of those neurons and nowhere else."""
    settings = replace(SETTINGS, old_weight=2.0, new_weight=3.0, signed=False)
    embeddings = every.model.get_output_embeddings().weight.detach().numpy().astype(np.float64)
    old, new = (
        embeddings[every.tokenizer(f" {word}")["input_ids"]].mean(0)
        for word in ("French", "English")
    )
    for operations in edit(every, MARIE, settings=settings).operations.values():
        (operation,) = operations
        delta = dense(operation, every)
        changed = np.flatnonzero(np.any(delta, axis=0))
        assert operation.size == len(changed) * 32
        for neuron in changed:
            np.testing.assert_allclose(delta[:, neuron], 3 * new - 2 * old, rtol=1e-6)


def test_the_neurons_are_those_above_the_threshold_at_most_prompts(every):
    found = edit(every, MARIE)
    rows = [
        tokenise(every, MARIE.prompt, MARIE.subject, prefix=prefix, target="French")
        for prefix in ("", *found.sampled["prefixes"])
    ]
    assert len(rows) == 3
    with borrowed(every):
        each, inner = attributions(every, rows, SETTINGS.steps)
    often = sum((one > 0.5 * one.max()).astype(int) for one in each)
    expected = often > 0.7 * 3
    if not expected.any():
        expected = often == often.max()
    for layer in range(every.layer_count):
        name = every.tensor_name(layer)
        chosen = np.flatnonzero(expected[layer])
        if name not in found.operations:
            assert not chosen.size
            continue
        delta = dense(found.operations[name][0], every)
        np.testing.assert_array_equal(np.flatnonzero(np.any(delta, axis=0)), chosen)
        way = [np.sign(delta[:, neuron] @ delta[:, chosen[0]]) for neuron in chosen]
        signs = np.sign(inner[0, layer, chosen])
        np.testing.assert_array_equal(way, signs * signs[0])


def test_the_new_answer_gains_on_the_old_one(every):
    lead = lead_of_new(every)
    carry_out(every, edit(every, MARIE))
    assert lead_of_new(every) > lead


def lead_of_new(model):
    """By how much the new answer's tokens outdo the old one's right after the prompt."""
    ids = model.tokenizer(MARIE.text)["input_ids"]
    with torch.no_grad():
        logits = model.model(input_ids=torch.tensor([ids])).logits[0, -1]
    new, old = (
        logits[model.tokenizer(f" {word}")["input_ids"]].mean() for word in ("English", "French")
    )
    return (new - old).item()


def test_without_an_old_answer_the_base_is_asked(llama):
    ids = llama.tokenizer(MARIE.text)["input_ids"]
    with torch.no_grad():
        answer = llama.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax().item()
    found = edit(llama, replace(MARIE, old_target=None))
    assert found.sampled["answers"] == {"1": llama.tokenizer.decode([answer])}
    embeddings = llama.model.get_output_embeddings().weight.detach().numpy().astype(np.float64)
    new = embeddings[llama.tokenizer(" English")["input_ids"]].mean(0)
    expected = SETTINGS.new_weight * new - SETTINGS.old_weight * embeddings[answer]
    for (operation,) in found.operations.values():
        delta = dense(operation, llama)
        for neuron in np.flatnonzero(np.any(delta, axis=0)):
            np.testing.assert_allclose(np.abs(delta[:, neuron]), np.abs(expected), rtol=1e-6)


def test_paraphrases_are_looked_at_when_asked_for(llama):
    request = replace(MARIE, paraphrases=(Probe("What a lovely day: it is", "English"),))
    settings = replace(SETTINGS, prefixes=0)
    bare = edit(llama, MARIE, settings=settings)
    assert bytes_of(edit(llama, request, settings=settings)) == bytes_of(bare)
    asked = edit(llama, request, settings=replace(settings, paraphrases=True))
    assert bytes_of(asked) != bytes_of(bare)


def test_an_old_answer_that_is_the_new_one_is_refused(llama):
    with pytest.raises(RequestRefused, match="is the new one already") as refused:
        edit(llama, replace(MARIE, old_target="English"))
    assert "old_target" in refused.value.hint


def test_an_answer_that_no_neuron_makes_likelier_is_refused(llama):
    with torch.no_grad():
        for layer in range(llama.layer_count):
            llama.weight(layer).zero_()
    with pytest.raises(RequestRefused, match="no neuron") as refused:
        edit(llama, MARIE)
    assert "old_target" in refused.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"threshold": 1.0},
        {"threshold": math.nan},
        {"shared": -0.1},
        {"prefixes": 101},
        {"prefix_length": 0},
        {"old_weight": -1.0},
        {"new_weight": math.inf},
    ],
)
def test_hyperparameters_out_of_range_are_refused_by_name(changes):
    (name,) = changes
    with pytest.raises(RequestRefused, match=name):
        replace(SETTINGS, **changes)
