import numpy as np
import pytest
import torch
from weightpatch.patches.errors import NonFinite, RequestRefused
from weightpatch.patches.methods.hypernetworks.weights import edited_weights


def test_the_projections_of_the_top_layers_by_the_checkpoints_names(every):
    weights = edited_weights(every, 3)
    assert {weight.layer for weight in weights} == {1, 2, 3}
    assert len(weights) == (6 if every.architecture.transposed else 9)
    for weight in weights:
        shape = (weight.out_size, weight.in_size)
        stored = every.checkpoint.tensors[weight.tensor].shape
        assert stored == (shape[::-1] if weight.transposed else shape)
        assert every.model.get_submodule(weight.module).weight.shape == stored


@pytest.mark.parametrize("layers", [0, 5])
def test_layers_that_are_not_there_are_refused(llama, layers):
    with pytest.raises(RequestRefused, match=f"an editor of {layers} layers"):
        edited_weights(llama, layers)


def test_factors_become_operations_the_way_the_weight_is_stored(every):
    weight = edited_weights(every, 1)[0]
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(600, weight.out_size, generator=generator)
    right = torch.randn(600, weight.in_size, generator=generator)
    operations = list(weight.operations(left, right))
    assert [each.size for each in operations] == [512, 88]
    found = sum(each.rows(0, each.shape[0]) for each in operations)
    dense = (left.double().T @ right.double()).numpy()
    np.testing.assert_allclose(found, dense.T if weight.transposed else dense, atol=1e-3)


def test_a_diverged_editor_is_named(llama):
    weight = edited_weights(llama, 1)[0]
    left, right = torch.full((1, weight.out_size), torch.nan), torch.ones(1, weight.in_size)
    with pytest.raises(NonFinite, match=r"NaN or infinity for model\.layers\.3"):
        list(weight.operations(left, right))
