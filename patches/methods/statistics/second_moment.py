"""The uncentred covariance C = E[k kᵀ] of the keys that reach an MLP's output projection.

Meng et al. 2022 (arXiv:2202.05262), section 3.1 and appendix: C is what keeps an update of the
weights from moving keys other than its own.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch

from ...checkpoints.models import EditableModel
from ...progress import Progress, silent
from ..running.decoder import run_up_to

BATCH_TOKENS = 2048


@contextmanager
def captured_keys(model: EditableModel, layers: Sequence[int]) -> Iterator[dict[int, torch.Tensor]]:
    """While open, each forward leaves the inputs of the layers' output projections in the dict."""
    keys: dict[int, torch.Tensor] = {}
    with ExitStack() as hooks:
        for layer in layers:
            hooks.enter_context(
                model.projection(layer).register_forward_pre_hook(
                    lambda _module, inputs, layer=layer: keys.update({layer: inputs[0].detach()})
                )
            )
        yield keys


@torch.no_grad()
def second_moments(
    model: EditableModel, layers: Sequence[int], windows: torch.Tensor, progress: Progress = silent
) -> dict[int, torch.Tensor]:
    """E[k kᵀ] of each layer over windows of token ids [n, length]: float64 [in, in], on the CPU.

    One pass serves all layers, and what lies above the highest does not run. The first token of a
    window is left out: attention rests on it, and its key is like no other.
    """
    sums: dict[int, torch.Tensor] = {}
    size = max(1, BATCH_TOKENS // windows.shape[1])
    count = windows.shape[0] * (windows.shape[1] - 1)
    for start in range(0, len(windows), size):
        progress("key statistics", start, len(windows))
        with captured_keys(model, layers) as keys:
            run_up_to(model, max(layers), windows[start : start + size].to(model.device))
        for layer in layers:
            flat = keys[layer][:, 1:].flatten(0, 1)
            sums[layer] = sums.get(layer, 0) + (flat.T @ flat).double()
    progress("key statistics", len(windows), len(windows))
    return {layer: total.cpu() / count for layer, total in sums.items()}
