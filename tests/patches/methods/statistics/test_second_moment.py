import numpy as np
import torch
from weightpatch.patches.methods.statistics.second_moment import captured_keys, second_moments

LAYERS = [0, 2]


def windows():
    return torch.randint(1, 320, (37, 16), generator=torch.Generator().manual_seed(0))


def keys_of(model, layer, ids):
    """What reaches the output projection, by a hook on the whole model, one window at a time."""
    found = []
    with model.projection(layer).register_forward_pre_hook(
        lambda _module, inputs: found.append(inputs[0][0, 1:].double().numpy())
    ):
        for row in ids:
            with torch.no_grad():
                model.model(input_ids=row[None])
    return np.concatenate(found)


def test_moments_are_means_over_all_tokens_but_the_first(every):
    found = second_moments(every, LAYERS, windows())
    for layer in LAYERS:
        keys = keys_of(every, layer, windows())
        assert keys.shape == (37 * 15, 48)
        expected = keys.T @ keys / len(keys)
        np.testing.assert_allclose(found[layer].numpy(), expected, rtol=1e-4, atol=1e-6)
        assert found[layer].dtype == torch.float64


def test_the_size_of_batches_does_not_matter(llama, monkeypatch):
    whole = second_moments(llama, LAYERS, windows())
    monkeypatch.setattr("weightpatch.patches.methods.statistics.second_moment.BATCH_TOKENS", 40)
    parts = second_moments(llama, LAYERS, windows())
    for layer in LAYERS:
        torch.testing.assert_close(parts[layer], whole[layer], rtol=1e-5, atol=1e-7)


def test_layers_above_do_not_run(llama):
    ran = []
    for index, layer in enumerate(llama.layers):
        layer.register_forward_hook(lambda *_args, index=index: ran.append(index))
    second_moments(llama, [1], windows()[:1])
    assert ran == [0, 1]


def test_no_hook_stays_behind(llama):
    with captured_keys(llama, LAYERS) as keys:
        llama.model(input_ids=windows()[:2])
    assert {layer: tuple(found.shape) for layer, found in keys.items()} == {
        0: (2, 16, 48),
        2: (2, 16, 48),
    }
    assert not any(module._forward_pre_hooks for module in llama.model.modules())
