"""What a model makes of a change to one MLP, at the price of the layers above it.

The layers up to the edited one run once: with key k and output h of its layer, the output under
W + Δ is h + Δk.
"""

import torch

from ...checkpoints.models import EditableModel
from ..running.decoder import Upper, run_up_to
from ..statistics.second_moment import captured_keys


class Above:
    """The layers above `layer` and the last norm, for token ids [rows, length] padded on the right.

    The model itself is not touched.
    """

    def __init__(self, model: EditableModel, layer: int, ids: torch.Tensor) -> None:
        with torch.no_grad(), captured_keys(model, [layer]) as captured:
            self._states = run_up_to(model, layer, ids)
        self._keys = captured[layer]
        self._upper = Upper(model, layer + 1)

    def __call__(self, delta: torch.Tensor) -> torch.Tensor:
        """Last hidden states [rows, length, hidden] under W + Δ for Δ [out, in]; differentiable."""
        return self._upper(self._states + self._keys @ delta.T)
