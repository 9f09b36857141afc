"""Texts that a model goes on to write after prompts, each drawn from a generator of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from ..digests import sha256
from ..methods.running.sampling import text_tokens
from .logits import context_length, inference, nan_answers, require_fits

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Sampling:
    """Texts of `length` tokens, the prompt among them, each drawn from the `top_k` likeliest."""

    length: int = 100
    top_k: int = 5
    seed: int = 0

    def generator(self, prompt: Ids) -> torch.Generator:
        """The prompt's own, so that its text does not depend on what is written beside it."""
        digest = sha256(f"{self.seed} {prompt}".encode())
        return torch.Generator().manual_seed(int(digest[:15], 16))


def write(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Ids],
    sampling: Sampling,
) -> list[Ids]:
    """Continue prompts to `sampling.length` tokens, or to the end of the model's context.

    Only tokens that stand for text are drawn. Prompts are padded on the left and run together.
    Raises BaseMismatch, LimitExceeded, NonFinite.
    """
    require_fits(model, prompts)
    width = max(map(len, prompts))
    length = min(sampling.length, context_length(model) or sampling.length)
    wanted = [max(0, length - len(prompt)) for prompt in prompts]
    generators = [sampling.generator(prompt) for prompt in prompts]
    allowed = text_tokens(model, tokenizer)
    rows = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    cache = DynamicCache(config=model.config)
    with inference(model):
        for done in range(max(wanted)):
            positions = (mask.cumsum(1) - 1).clamp(min=0, max=length - 1)
            new = slice(None) if done == 0 else slice(-1, None)
            logits = model(
                input_ids=rows[:, new].to(model.device),
                attention_mask=mask.to(model.device),
                position_ids=positions[:, new].to(model.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            drawn = allowed[_draw(logits.cpu()[:, allowed], sampling.top_k, generators)]
            rows = torch.cat([rows, drawn], dim=1)
            mask = torch.cat([mask, torch.ones_like(drawn)], dim=1)
    written = zip(rows[:, width:].tolist(), prompts, wanted, strict=True)
    return [(*prompt, *row[:count]) for row, prompt, count in written]


def _draw(logits: torch.Tensor, top_k: int, generators: Sequence[torch.Generator]) -> torch.Tensor:
    """One index a row, int64 [rows, 1]."""
    if logits.isnan().any():
        raise nan_answers()
    best, index = logits.double().topk(min(top_k, logits.shape[1]))
    chances = best.softmax(-1)
    drawn = [
        torch.multinomial(row, 1, generator=generator)
        for row, generator in zip(chances, generators, strict=True)
    ]
    return index.gather(1, torch.stack(drawn))
