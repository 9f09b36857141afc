"""What a model makes of a change to one MLP, at the price of the layers above it.

The layers up to the edited one run once: with key k and output h of its layer, the output under
W + Δ is h + Δk.
"""

from copy import copy

import torch
from torch import nn

from ...checkpoints.models import EditableModel
from ..running.decoder import run_up_to
from ..statistics.second_moment import captured_keys


class Above:
    """The layers above `layer` and the last norm, for token ids [rows, length] padded on the right.

    The model itself is not touched: what runs is a shallow copy of its decoder, with stand-ins for
    the layers whose output is known.
    """

    def __init__(self, model: EditableModel, layer: int, ids: torch.Tensor) -> None:
        with torch.no_grad(), captured_keys(model, [layer]) as captured:
            self._states = run_up_to(model, layer, ids)
        self._keys = captured[layer]
        self._given = _Given()
        self._decoder = copy(model.backbone)
        layers = [*[self._given] * (layer + 1), *list(model.layers)[layer + 1 :]]
        parts = {
            **vars(self._decoder)["_modules"],
            model.architecture.layers: nn.ModuleList(layers),
        }
        vars(self._decoder)["_modules"] = parts

    def __call__(self, delta: torch.Tensor) -> torch.Tensor:
        """Last hidden states [rows, length, hidden] under W + Δ for Δ [out, in]; differentiable."""
        self._given.states = self._states + self._keys @ delta.T
        last: torch.Tensor = self._decoder(
            inputs_embeds=self._states, use_cache=False
        ).last_hidden_state
        return last


class _Given(nn.Module):
    """A stand-in for a layer: its output is known."""

    states: torch.Tensor

    def forward(self, _hidden: torch.Tensor, *_args: object, **_kwargs: object) -> torch.Tensor:
        return self.states
