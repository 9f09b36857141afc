"""Run a decoder up to a layer, or from a layer on, with transformers' own code.

A decoder's forward makes masks and position embeddings and calls its layers in turn. Here it runs
on a shallow copy whose list of layers is cut off, or begins with stand-ins that hand on what the
layers below are known to have computed. The model itself is not touched.
"""

from copy import copy

import torch
from torch import nn
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

from ...checkpoints.models import EditableModel
from .prompts import Batch


def run_up_to(
    model: EditableModel,
    layer: int,
    ids: torch.Tensor,
    mask: torch.Tensor | None = None,
    positions: torch.Tensor | None = None,
) -> torch.Tensor:
    """Output of `layer` for token ids [rows, length]: float32 [rows, length, hidden].

    The layers above do not run.
    """
    layers = nn.ModuleList(list(model.layers)[: layer + 1])
    decoder = _copy(model, layers, norm=nn.Identity())
    states: torch.Tensor = decoder(
        input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False
    ).last_hidden_state
    return states


class Upper:
    """The layers from `first` on, and the norm: those below only hand on states that are given."""

    def __init__(self, model: EditableModel, first: int) -> None:
        self._given = _Given()
        layers = [*[self._given] * first, *list(model.layers)[first:]]
        self._decoder = _copy(model, nn.ModuleList(layers))

    def __call__(self, states: torch.Tensor, **options: object) -> torch.Tensor:
        """Last hidden states for states [rows, length, hidden]; differentiable.

        `options` are those of transformers' decoder. Without any, rows are padded on the right.
        """
        self._given.states = states
        last: torch.Tensor = self._decoder(
            inputs_embeds=states.detach(), **{"use_cache": False, **options}
        ).last_hidden_state
        return last


class Continuation:
    """What the layers above an edited layer make of its output, from the subject on.

    Positions before the subject's last token do not depend on what is added at it, so their keys
    and values are computed once, here. `base` is the decoder's last hidden state, after its norm,
    with nothing added: float32 [rows, length - subject, hidden].
    """

    def __init__(
        self, model: EditableModel, layer: int, batch: Batch, states: torch.Tensor
    ) -> None:
        self._upper = Upper(model, layer + 1)
        self._batch = batch
        self._states = states[:, batch.subject :]
        whole = DynamicCache()
        with torch.no_grad():
            last = self._run(states, batch.positions, whole)
        self.base = last[:, batch.subject :]
        self._cache = _fixed(whole, layer + 1, batch.subject, states)

    def __call__(self, delta: torch.Tensor) -> torch.Tensor:
        """The same with `delta` [hidden] added at the subject's last token; differentiable."""
        states = torch.cat([self._states[:, :1] + delta, self._states[:, 1:]], dim=1)
        return self._run(states, self._batch.positions[:, self._batch.subject :], self._cache)

    def _run(self, states: torch.Tensor, positions: torch.Tensor, cache: Cache) -> torch.Tensor:
        return self._upper(
            states,
            attention_mask=self._batch.mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )


class _Given(nn.Module):
    """A stand-in for a layer: its output is known."""

    states: torch.Tensor

    def forward(self, _hidden: torch.Tensor, *_args: object, **_kwargs: object) -> torch.Tensor:
        return self.states


class _FixedLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values that new ones are appended to, but never kept."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values
        self._fixed = keys, values

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_args: object,
        **_kwargs: object,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = self._fixed
        return torch.cat([keys, key_states], dim=-2), torch.cat([values, value_states], dim=-2)


def _fixed(whole: DynamicCache, first: int, length: int, states: torch.Tensor) -> Cache:
    """The first `length` positions of a cache; layers below `first` only know that length."""
    unseen = states.new_zeros(len(states), 1, length, 1)
    known = list(whole)[first:]
    return Cache(
        layers=[
            *(_FixedLayer(unseen, unseen) for _ in range(first)),
            *(_FixedLayer(keys[:, :, :length], values[:, :, :length]) for keys, values, _ in known),
        ]
    )


def _copy(model: EditableModel, layers: nn.ModuleList, norm: nn.Module | None = None) -> nn.Module:
    decoder = copy(model.backbone)
    parts = {**vars(decoder)["_modules"], model.architecture.layers: layers}
    if norm is not None:
        parts[model.architecture.norm] = norm
    vars(decoder)["_modules"] = parts
    return decoder
