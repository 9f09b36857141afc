"""Texts in front of a prompt, so that an edit holds in more contexts than the bare one.

Meng et al. 2022 (arXiv:2202.05262), eq. 3: the key is averaged over x_j + p, where each x_j is a
short text that the model itself has written.
"""

import torch

from ...checkpoints.models import EditableModel
from ...progress import Progress, silent
from .sampling import random_tokens, sample


def sample_prefixes(
    model: EditableModel,
    count: int,
    length: int,
    generator: torch.Generator,
    progress: Progress = silent,
) -> tuple[str, ...]:
    """`count` texts of about `length` tokens, each ending in a full stop and a space.

    Each begins after a token of its own, drawn from all alike and then left out, so that the texts
    differ as much as the model's writing does.
    """
    if not count:
        return ()
    starts = random_tokens(model, count, generator)
    rows = sample(model, starts, length, generator, top_k=None, progress=progress, phase="prefixes")
    texts = model.tokenizer.batch_decode(rows[:, 1:], skip_special_tokens=True)
    return tuple(f"{_one_line(text)}. " for text in texts)


def _one_line(text: str) -> str:
    """Without line breaks, and without the marks of characters that were cut in two."""
    return " ".join(text.replace("\ufffd", "").split()).rstrip(".")
