"""MEND's network: it maps what a gradient is made of, token by token, to a better update.

Mitchell et al. 2022 (arXiv:2110.11309), section 3.2. For a token's z = [u; δ], each normalised,

    h = z + relu(s₁ ⊙ (U₁V₁z + b) + o₁)        [ũ; δ̃] = h + relu(s₂ ⊙ U₂V₂h + o₂)

with low-rank UV shared by all weights of one shape, scales s and offsets o of each
weight's own, and ΔW = -r Σ_t δ̃_t ũ_tᵀ with a learnt r for each weight.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from ...checkpoints.models import EditableModel
from ...requests import EditRequest
from .network import EditorNetwork
from .tail import Change, Gradient
from .weights import EditedWeight

_LEAST = 1e-8


class _Shared(nn.Module):
    """U₁V₁, b and U₂V₂ for all weights of one shape; U = 0 makes the map the identity."""

    def __init__(self, size: int, rank: int) -> None:
        super().__init__()
        self.v1, self.v2 = (nn.Parameter(torch.empty(rank, size)) for _ in range(2))
        self.u1, self.u2 = (nn.Parameter(torch.empty(size, rank)) for _ in range(2))
        self.b = nn.Parameter(torch.empty(size))

    def initialise(self, generator: torch.Generator) -> None:
        """V at random, after Glorot and Bengio 2010, all else zero."""
        for v in (self.v1, self.v2):
            nn.init.xavier_uniform_(v, generator=generator)
        for zero in (self.u1, self.u2, self.b):
            nn.init.zeros_(zero)


class _Own(nn.Module):
    """What each weight has to itself: scales, offsets, log r, and statistics of its z."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.s1, self.s2 = (nn.Parameter(torch.empty(size)) for _ in range(2))
        self.o1, self.o2 = (nn.Parameter(torch.empty(size)) for _ in range(2))
        self.log_rate = nn.Parameter(torch.empty(1))
        self.register_buffer("mean", torch.empty(size))
        self.register_buffer("deviation", torch.empty(size))

    def initialise(self, rate: float) -> None:
        """Scales and deviations one, offsets and means zero."""
        for one in (self.s1, self.s2, self.deviation):
            nn.init.ones_(one)
        for zero in (self.o1, self.o2, self.mean):
            nn.init.zeros_(zero)
        nn.init.constant_(self.log_rate, math.log(rate))


class Transform(EditorNetwork):
    """The whole network for some weights.

    At first [ũ; δ̃] = z: a step of gradient descent, but with u and δ normalised.
    """

    def __init__(self, weights: Sequence[EditedWeight], rank: int, rate: float) -> None:
        super().__init__()
        self._rate = rate
        self._keys = [f"{weight.out_size}x{weight.in_size}" for weight in weights]
        sizes = [weight.in_size + weight.out_size for weight in weights]
        shapes = dict(zip(self._keys, sizes, strict=True))
        self.shared = nn.ModuleDict({key: _Shared(size, rank) for key, size in shapes.items()})
        self.own = nn.ModuleList(map(_Own, sizes))

    def initialise(self, generator: torch.Generator) -> None:
        """U = 0: the identity."""
        for shared in self.shared.values():
            cast("_Shared", shared).initialise(generator)
        for own in self.own:
            cast("_Own", own).initialise(self._rate)

    def changes(
        self,
        model: EditableModel,  # noqa: ARG002 - all that counts is in the gradients
        gradients: Sequence[Gradient],
        requests: Sequence[EditRequest],  # noqa: ARG002
    ) -> list[Change]:
        """ΔW of each weight; tokens whose δ is zero take no part."""
        return [
            _change(gradient, cast("_Shared", self.shared[key]), cast("_Own", own))
            for gradient, key, own in zip(gradients, self._keys, self.own, strict=True)
        ]

    @torch.no_grad()
    def measure(self, batches: Sequence[Sequence[Gradient]]) -> None:
        """Take means and deviations of u and δ over all tokens of all requests."""
        for index, own in enumerate(self.own):
            z = torch.cat([_tokens(batch[index])[0] for batch in batches]).double()
            cast("_Own", own).mean.copy_(z.mean(0))
            cast("_Own", own).deviation.copy_(z.std(0, correction=0).clamp(min=_LEAST))


def _change(gradient: Gradient, shared: _Shared, own: _Own) -> Change:
    tokens, used = _tokens(gradient)
    z = (tokens - own.mean) / own.deviation
    hidden = z @ shared.v1.T @ shared.u1.T + shared.b
    h = z + (own.s1 * hidden + own.o1).clamp(min=0)
    hidden = h @ shared.v2.T @ shared.u2.T
    found = h + (own.s2 * hidden + own.o2).clamp(min=0)
    whole = found.new_zeros(*used.shape, found.shape[-1])
    whole[used] = found
    right, left = torch.split(whole, [gradient.inputs.shape[-1], gradient.delta.shape[-1]], dim=-1)
    return Change(-own.log_rate.exp() * left, right)


def _tokens(gradient: Gradient) -> tuple[torch.Tensor, torch.Tensor]:
    """[u; δ] of the tokens that have a gradient, [tokens, in + out], and which [records, T]."""
    used = gradient.delta.abs().amax(-1) > 0
    return torch.cat([gradient.inputs[used], gradient.delta[used]], dim=-1), used
