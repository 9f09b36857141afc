"""What is looked up of a fact, and what the length of the change sought is held against."""

import numpy as np
import pytest
import torch
from method_fixtures import ACTOR, MARIE
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.alphaedit import AlphaEdit, AlphaEditHyperparameters
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.locating.locate import locate, mean_key, require_editable
from weightpatch.patches.methods.memit import Memit, MemitHyperparameters
from weightpatch.patches.methods.rome import Rome, RomeHyperparameters
from weightpatch.patches.progress import silent

LAYER = 1
CLAMP = 0.05
PREFIXES = ("What a lovely day. ", "Łódź. ")
BINDING = {"clamp": CLAMP, "learning_rate": 1.0, "steps": 3, "weight_decay": 0.0}
SPREAD = {**BINDING, "layers": (LAYER,), "prefixes": 0, "statistics_tokens": 500}
SPREADING = {
    Memit: MemitHyperparameters(**SPREAD),
    AlphaEdit: AlphaEditHyperparameters(**SPREAD, nullspace_threshold=2.0),
}


def plainly(model, request, prefix=""):
    """Key, MLP output and state of a layer at the subject's last token, in a plain pass."""
    text = prefix + request.text[: request.text.index(request.subject) + len(request.subject)]
    seen = []
    with (
        torch.no_grad(),
        model.projection(LAYER).register_forward_hook(
            lambda _module, inputs, output: seen.extend((inputs[0][0, -1], output[0, -1]))
        ),
    ):
        ids = torch.tensor([model.tokenizer(text)["input_ids"]])
        states = model.model(input_ids=ids, output_hidden_states=True).hidden_states
    key, output = seen
    return {"key": key, "output": output, "state": states[LAYER + 1][0, -1]}


def lengths(model, request):
    found = plainly(model, request)
    return {what: found[what].norm().item() for what in ("output", "state")}


@pytest.mark.parametrize("against", ["output", "state"])
def test_a_change_is_held_to_a_share_of_what_it_is_measured_against(every, against):
    """c · ‖v‖ or c · ‖h‖, of the bare prompt, and these differ."""
    every.model.requires_grad_(False)
    settings = RomeHyperparameters(layer=LAYER, **BINDING)
    known = lengths(every, MARIE)
    assert abs(known["output"] / known["state"] - 1) > 0.05
    found = locate(every, MARIE, PREFIXES, LAYER, settings, silent, against=against)
    assert np.linalg.norm(found.residual) == pytest.approx(CLAMP * known[against], rel=1e-4)


def test_keys_are_those_of_each_prompt(every):
    every.model.requires_grad_(False)
    settings = RomeHyperparameters(layer=LAYER, **BINDING)
    found = locate(every, MARIE, PREFIXES, LAYER, settings, silent)
    expected = [plainly(every, MARIE, prefix)["key"].numpy() for prefix in ("", *PREFIXES)]
    np.testing.assert_allclose(found.keys, expected, rtol=1e-4, atol=1e-4)


def test_rome_holds_its_change_against_the_output_of_the_mlp(every, store):
    settings = RomeHyperparameters(layer=LAYER, prefixes=0, statistics_tokens=500, **BINDING)
    found = Rome().edit(
        every, [MARIE], settings, seed=0, resources=Resources(store), progress=silent
    )
    (residual,) = found.auxiliary[f"{every.tensor_name(LAYER)}::aux.residuals"]
    expected = CLAMP * lengths(every, MARIE)["output"]
    assert np.linalg.norm(residual) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("method", SPREADING, ids=lambda method: method.name)
def test_methods_that_spread_edits_hold_theirs_against_the_state(method, every, store):
    """With one layer, its residuals are all that was sought."""
    found = method().edit(
        every,
        [MARIE, ACTOR],
        SPREADING[method],
        seed=0,
        resources=Resources(store),
        progress=silent,
    )
    residuals = found.auxiliary[f"{every.tensor_name(LAYER)}::aux.residuals"]
    expected = [CLAMP * lengths(every, request)["state"] for request in (MARIE, ACTOR)]
    np.testing.assert_allclose(np.linalg.norm(residuals, axis=1), expected, rtol=1e-3)


def test_the_mean_key_weighs_the_bare_prompt_against_all_others():
    keys = np.array([[8.0, 0.0], [1.0, 2.0], [3.0, 6.0]], np.float32)
    np.testing.assert_allclose(mean_key(keys, 0.25), [0.25 * 8 + 0.75 * 2, 0.75 * 4])
    np.testing.assert_allclose(mean_key(keys[:1], 0.25), keys[0])


def test_the_last_layer_cannot_be_edited(llama):
    require_editable(llama, 2)
    with pytest.raises(RequestRefused, match="layer 3 cannot be edited") as refused:
        require_editable(llama, 3)
    assert refused.value.hint == "set layer to 2 or less"
