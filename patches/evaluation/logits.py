"""A causal language model's logits at chosen positions; the rest of the head's work is saved."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch

from ..errors import BaseMismatch, LimitExceeded, NonFinite

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def inference(model: "PreTrainedModel") -> Iterator[None]:
    """Without gradients and dropout; every module's training flag is put back."""
    flags = {module: module.training for module in model.modules()}
    model.train(mode=False)
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(mode=flags[model])
        for module, flag in flags.items():
            module.training = flag


def logits_at(
    model: "PreTrainedModel", rows: Sequence[Sequence[int]], places: Sequence[tuple[int, int]]
) -> torch.Tensor:
    """Logits [len(places), vocabulary] that follow the token at each (row, position).

    `rows` are token ids of any lengths, padded on the right. The hidden states are gathered on
    their way into the output head, so that whatever the model does before and after it (scaling,
    soft capping) is its own; a model without such a head gives its logits in full. Raises
    BaseMismatch for a token outside the vocabulary, LimitExceeded for a row longer than the
    model's context.
    """
    require_fits(model, rows)
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    index = torch.tensor([row * width + position for row, position in places])
    with _gathered(model, ids.shape, index) as gathered:
        output: torch.Tensor = model(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            use_cache=False,
        ).logits
    flat = output.flatten(0, 1)
    return flat if gathered else flat[index.to(flat.device)]


def nan_answers() -> NonFinite:
    """The error for a model whose logits are no numbers."""
    return NonFinite(
        "the model answers with NaN",
        why="its weights, or a patch on them, have left the range of their type",
    )


@contextmanager
def _gathered(
    model: "PreTrainedModel", shape: torch.Size, index: torch.Tensor
) -> Iterator[list[bool]]:
    """Hand the head the hidden states at `index` alone; the list is filled when that was done."""
    gathered: list[bool] = []

    def gather(_head: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not inputs or inputs[0].shape[:2] != shape:
            return None
        gathered.append(True)
        hidden = inputs[0].flatten(0, 1)
        return (hidden[index.to(hidden.device)].unsqueeze(0), *inputs[1:])

    head = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    hook = None if head is None else head.register_forward_pre_hook(gather)
    try:
        yield gathered
    finally:
        if hook is not None:
            hook.remove()


def require_fits(model: "PreTrainedModel", rows: Sequence[Sequence[int]]) -> None:
    """Raise BaseMismatch for an unknown token, LimitExceeded for a row beyond the context."""
    vocabulary = cast("torch.Tensor", model.get_input_embeddings().weight).shape[0]
    if max(map(max, rows)) >= vocabulary:
        raise BaseMismatch(
            "the tokenizer gives tokens that the model has no embedding for",
            why=f"the model knows {vocabulary} tokens",
            hint="use the tokenizer that belongs to the checkpoint",
        )
    context = context_length(model)
    longest = max(map(len, rows))
    if context is not None and longest > context:
        raise LimitExceeded(
            f"a prompt and its answer are {longest} tokens long, the model reads {context}"
        )


def context_length(model: "PreTrainedModel") -> int | None:
    """How many tokens the model reads at once, if its configuration says so."""
    context = getattr(model.config, "max_position_embeddings", None)
    return context if isinstance(context, int) else None
