"""A layer that answers the subject with nothing cannot be measured by its answer."""

import pytest
import torch
from method_fixtures import CASES, MARIE
from weightpatch.patches.errors import NonFinite
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.progress import silent


def edit(model, store):
    rome = CASES["rome"]
    settings = rome.hyperparameters(model, layer=1, prefixes=0)
    return rome.method.edit(
        model, [MARIE], settings, seed=0, resources=Resources(store), progress=silent
    )


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("part", ["output", "inner neurons"])
def test_a_key_or_a_value_of_zero_is_named(pico, store, family, part):
    model = pico(family)
    mlp = model.layers[1].mlp
    with torch.no_grad():
        if part == "output":
            for parameter in model.projection(1).parameters():
                parameter.zero_()
        else:
            up = mlp.c_fc if family == "gpt2" else mlp.up_proj
            for parameter in up.parameters():
                parameter.zero_()
    with pytest.raises(NonFinite, match="layer 1 does not respond") as caught:
        edit(model, store)
    assert part in caught.value.why
