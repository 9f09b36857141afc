"""Text that a model writes by itself, from a generator of its own."""

from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from ...checkpoints.models import EditableModel
from ...progress import Progress, silent

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@torch.no_grad()
def sample(
    model: EditableModel,
    starts: torch.Tensor,
    length: int,
    generator: torch.Generator,
    *,
    top_k: int | None = None,
    progress: Progress = silent,
    phase: str = "sampling",
) -> torch.Tensor:
    """Continue `starts` [rows, s] by `length` tokens each: int64 [rows, s + length], on the CPU.

    Tokens are drawn from the model's distribution at temperature 1, or from its `top_k` likeliest;
    only those that stand for text. `generator` is a CPU generator; the global one is left alone.
    """
    allowed = text_tokens(model.model, model.tokenizer)
    cache = DynamicCache(config=model.model.config)
    rows = starts
    for done in range(length):
        progress(phase, done, length)
        given = rows if done == 0 else rows[:, -1:]
        logits = model.model(
            input_ids=given.to(model.device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        drawn = _draw(logits.cpu()[:, allowed], top_k, generator)
        rows = torch.cat([rows, allowed[drawn]], dim=1)
    progress(phase, length, length)
    return rows


def _draw(logits: torch.Tensor, top_k: int | None, generator: torch.Generator) -> torch.Tensor:
    if top_k is None:
        return torch.multinomial(logits.softmax(-1), 1, generator=generator)
    best, index = logits.topk(top_k)
    return index.gather(1, torch.multinomial(best.softmax(-1), 1, generator=generator))


def text_tokens(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase") -> torch.Tensor:
    """Ids of tokens that stand for text, and that the model has a row for."""
    vocabulary = int(model.config.vocab_size)
    plain = set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids)
    return torch.tensor(sorted(index for index in plain if index < vocabulary))


def random_tokens(model: EditableModel, rows: int, generator: torch.Generator) -> torch.Tensor:
    """Tokens to begin a text with, drawn from all alike: int64 [rows, 1]."""
    plain = text_tokens(model.model, model.tokenizer)
    return plain[torch.randint(len(plain), (rows, 1), generator=generator)]
