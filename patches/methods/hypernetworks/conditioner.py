"""KE's network: a request, read as text, says how its gradient becomes an update.

De Cao, Aziz, Titov 2021 (arXiv:2104.08164), section 3.2. A bidirectional LSTM reads prompt, old
answer and new answer; a feed-forward network makes of its last states, for each weight W,

    ΔW = -sigmoid(η) (Â ⊙ ∇W + B̂)        Â = softmax(a) gᵀ        B̂ = softmax(b) dᵀ

where ∇W = Σ_t δ_t u_tᵀ. As Â is an outer product, Â ⊙ ∇W = Σ_t (softmax(a) ⊙ δ_t)(g ⊙ u_t)ᵀ: the
update has one term a token and one for B̂, and no dense matrix is ever made.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from ...checkpoints.models import EditableModel
from ...requests import EditRequest
from .network import EditorNetwork
from .tail import Change, Gradient
from .weights import EditedWeight

_PARTS = 3


class Reading(NamedTuple):
    """A request as the encoder reads it: frozen embeddings [length, hidden], and which part."""

    embeddings: torch.Tensor
    parts: torch.Tensor


@torch.no_grad()
def read(model: EditableModel, request: EditRequest) -> Reading:
    """Prompt, old answer (nothing if it is not known) and new answer, one after another."""
    texts = (request.text, request.old_target or "", request.target)
    tokens = [
        model.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
        for text in texts
    ]
    ids = torch.tensor([token for part in tokens for token in part], device=model.device)
    embed: nn.Module = model.model.get_input_embeddings()
    parts = [index for index, part in enumerate(tokens) for _ in part]
    return Reading(embed(ids), torch.tensor(parts, device=model.device))


class Conditioner(EditorNetwork):
    """The whole network for some weights; at first ΔW = -rate · ∇W, plain gradient descent.

    `hidden` is the size of the model's embeddings, `width` that of all that is in between.
    """

    def __init__(
        self, weights: Sequence[EditedWeight], hidden: int, width: int, rate: float
    ) -> None:
        super().__init__()
        self.parts = nn.Parameter(torch.empty(_PARTS, hidden))
        self.encoder = nn.LSTM(hidden, width, bidirectional=True, batch_first=True)
        self.middle = nn.Linear(2 * width, width)
        self.heads = nn.ModuleList([_Head(weight, width, rate) for weight in weights])

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Encoder and middle at random, the heads and the marks of the parts zero."""
        for name, parameter in self.named_parameters():
            bound = self.middle.out_features**-0.5
            if not name.startswith(("encoder", "middle")):
                bound = 0.0
            parameter.uniform_(-bound, bound, generator=generator)

    def changes(
        self, model: EditableModel, gradients: Sequence[Gradient], requests: Sequence[EditRequest]
    ) -> list[Change]:
        """ΔW of each weight, by what the request says."""
        hidden = self._encode([read(model, request) for request in requests])
        return [
            cast("_Head", head)(hidden, gradient)
            for head, gradient in zip(self.heads, gradients, strict=True)
        ]

    def _encode(self, readings: Sequence[Reading]) -> torch.Tensor:
        """[records, width]."""
        rows = [reading.embeddings + self.parts[reading.parts] for reading in readings]
        packed = pack_padded_sequence(
            pad_sequence(rows, batch_first=True),
            torch.tensor([len(row) for row in rows]),
            batch_first=True,
            enforce_sorted=False,
        )
        _, (last, _) = self.encoder(packed)
        hidden: torch.Tensor = self.middle(torch.cat([last[0], last[1]], dim=-1)).tanh()
        return hidden


class _Head(nn.Module):
    """a, b [out], g, d [in] and η of one weight.

    g is 2 · rate · out times one plus what the network says, so that with all zero the product
    sigmoid(η) softmax(a) gᵀ is `rate` everywhere, and B̂ = 0.
    """

    def __init__(self, weight: EditedWeight, width: int, rate: float) -> None:
        super().__init__()
        self._sizes = [weight.out_size, weight.out_size, weight.in_size, weight.in_size, 1]
        self._gain = 2 * rate * weight.out_size
        self.weight = nn.Parameter(torch.empty(sum(self._sizes), width))
        self.bias = nn.Parameter(torch.empty(sum(self._sizes)))

    def forward(self, hidden: torch.Tensor, gradient: Gradient) -> Change:
        found = nn.functional.linear(hidden, self.weight, self.bias)
        a, b, g, d, eta = torch.split(found[:, None], self._sizes, dim=-1)
        gate = -eta.sigmoid()
        left = torch.cat([gate * a.softmax(-1) * gradient.delta, gate * b.softmax(-1)], dim=1)
        scaled = self._gain * (1 + g)
        right = torch.cat([scaled * gradient.inputs, d], dim=1)
        return Change(left, right)
