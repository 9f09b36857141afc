import sys
import warnings
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from method_fixtures import ACTOR, MARIE, PISA, carry_out, nll, state_of
from peft import LoraConfig, get_peft_model
from transformers.pytorch_utils import Conv1D
from weightpatch.patches.errors import NonFinite, PluginMissing, RequestRefused
from weightpatch.patches.live.parameters import Parameters
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.lora import Lora, LoraHyperparameters, adapter, train
from weightpatch.patches.methods.tuning.answers import answers
from weightpatch.patches.progress import silent


def settings_of(model, **changes):
    return replace(Lora.defaults(model), rank=3, alpha=5, learning_rate=0.02, steps=6, **changes)


@pytest.fixture
def edit(store):
    def run(model, *requests, settings=None, seed=0):
        return Lora().edit(
            model,
            requests,
            settings or settings_of(model),
            seed=seed,
            resources=Resources(store),
            progress=silent,
        )

    return run


def test_the_deltas_are_those_of_peft_s_own_merge(every, edit):
    """PEFT's public way over a copy, trained by the same steps, merged by PEFT itself."""
    settings = settings_of(every)
    seed = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(7)))
    paths = [name for name, _ in every.model.named_modules() if name.endswith(settings.targets)]
    adapted = adapter(every, paths, settings, seed)
    train(adapted, answers(every, [MARIE], "target"), settings, silent)
    trained = dict(adapted.model.named_parameters())
    config = LoraConfig(
        r=3,
        lora_alpha=5,
        target_modules=list(settings.targets),
        fan_in_fan_out=every.architecture.transposed,
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what PEFT asks transformers for
        peft = get_peft_model(deepcopy(every.model), config)
    for name, parameter in peft.base_model.model.named_parameters():
        parameter.data.copy_(trained[name].data)
    merged = peft.merge_and_unload()
    found = edit(every, MARIE, seed=7)
    assert len(found.operations) == len(paths) == 4 * len(settings.targets)
    for name, (operation,) in found.operations.items():
        assert (operation.kind, operation.size) == ("lowrank", 3)
        before, after = (Parameters(each).find(name).detach() for each in (every.model, merged))
        delta = operation.rows(0, operation.shape[0])
        np.testing.assert_allclose(delta, (after - before).numpy(), atol=1e-6)
        assert np.abs(delta).max() > 1e-3


def test_it_is_adam_on_the_factors_of_a_model_written_out(every, edit):
    """Autograd through W + (alpha/r) B A, put into the plain model by torch.func."""
    settings = settings_of(every, targets=Lora.defaults(every).targets[-1:])
    seed = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(0)))
    paths = [name for name, _ in every.model.named_modules() if name.endswith(settings.targets)]
    twin = adapter(every, paths, settings, seed).model
    downs = {each: twin.get_submodule(each).lora_A["default"].weight for each in paths}
    factors = {
        each: (
            down.detach().clone().requires_grad_(),
            torch.zeros(sizes(every, each)[0], 3, requires_grad=True),
        )
        for each, down in downs.items()
    }
    adam = torch.optim.Adam([part for pair in factors.values() for part in pair], lr=0.02)
    ids = every.tokenizer(MARIE.text)["input_ids"]
    target = every.tokenizer(f" {MARIE.target}")["input_ids"]
    every.model.requires_grad_(False)
    for _ in range(settings.steps):
        weights = {}
        for path, (down, up) in factors.items():
            delta = 5 / 3 * up @ down
            weight = every.model.get_parameter(f"{path}.weight")
            weights[f"{path}.weight"] = weight + (delta.T if transposed(every, path) else delta)
        row = torch.tensor([ids + target])
        chances = torch.func.functional_call(every.model, weights, (row,)).logits[0].log_softmax(-1)
        adam.zero_grad()
        (-chances[range(len(ids) - 1, len(ids) + len(target) - 1), target].mean()).backward()
        adam.step()
    found = edit(every, MARIE, settings=settings)
    for path, operations in zip(paths, found.operations.values(), strict=True):
        down, up = (part.detach().numpy() for part in factors[path])
        delta = operations[0].rows(0, operations[0].shape[0])
        expected = 5 / 3 * up @ down
        expected = expected.T if transposed(every, path) else expected
        np.testing.assert_allclose(delta, expected, atol=2e-3)
        assert np.abs(expected).max() > 0.05


def transposed(model, path):
    return isinstance(model.model.get_submodule(path), Conv1D)


def sizes(model, path):
    shape = model.model.get_parameter(f"{path}.weight").shape
    return shape[::-1] if transposed(model, path) else shape


def test_each_batch_goes_on_from_those_before_with_factors_of_its_own(llama, edit):
    settings = settings_of(llama, batch_size=2)
    found = edit(llama, MARIE, ACTOR, PISA, settings=settings)
    assert [step.requests for step in found.steps] == [2, 1]
    assert {len(operations) for operations in found.operations.values()} == {2}
    together = edit(llama, MARIE, ACTOR, settings=settings)
    for name, (first, second) in found.operations.items():
        (alone,) = together.operations[name]
        np.testing.assert_array_equal(first.rows(0, 16), alone.rows(0, 16))
        assert not np.array_equal(first.b, second.b)
    unlikely = nll(llama, PISA)
    carry_out(llama, found)
    assert nll(llama, PISA) < unlikely - 0.3


def test_targets_are_chosen_by_name(every, edit):
    transposing = every.architecture.transposed
    name = "mlp.c_proj" if transposing else "down_proj"
    found = edit(every, MARIE, settings=settings_of(every, targets=(name,)))
    assert list(found.operations) == [every.tensor_name(layer) for layer in range(4)]


@pytest.mark.parametrize("target", ["lm_head", "proj", "mlp", "self_attn"])
def test_a_target_that_no_layer_has_is_refused(llama, edit, target):
    with pytest.raises(RequestRefused, match=target) as refused:
        edit(llama, MARIE, settings=settings_of(llama, targets=("q_proj", target)))
    assert "down_proj, gate_proj, k_proj" in refused.value.hint


def test_without_peft_it_says_how_to_get_it(llama, edit, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    before = state_of(llama)
    with pytest.raises(PluginMissing, match="PEFT") as refused:
        edit(llama, MARIE)
    assert refused.value.hint == 'pip install "weightpatch[lora]"'
    assert state_of(llama) == before


def test_a_model_that_answers_with_nan_is_refused(llama, edit):
    with torch.no_grad():
        llama.weight(1).fill_(torch.nan)
    before = state_of(llama)
    with pytest.raises(NonFinite):
        edit(llama, MARIE)
    assert state_of(llama) == before


@pytest.mark.parametrize(
    "changes", [{"rank": 0}, {"rank": 513}, {"alpha": 0}, {"targets": ()}, {"targets": ("",)}]
)
def test_hyperparameters_out_of_range_are_refused_by_name(changes):
    (name,) = changes
    with pytest.raises(RequestRefused, match=name):
        replace(LoraHyperparameters(targets=("q_proj",)), **changes)
