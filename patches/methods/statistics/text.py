"""The text on which key statistics are estimated: a file, or what the model writes by itself."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ...checkpoints.models import EditableModel
from ...errors import RequestRefused
from ...progress import Progress
from ..running.sampling import random_tokens, sample

_FILE_WINDOW = 128
_OWN_WINDOW = 33
_OWN_SEED = 0
_BYTES_PER_TOKEN = 16
_PIECE = 2_000


class Text(Protocol):
    """Windows of tokens, and the facts that tell them from any other, as JSON."""

    @property
    def source(self) -> Mapping[str, Any]:
        """What the windows are made of; the same source gives the same windows."""

    def windows(self, progress: Progress) -> torch.Tensor:
        """Token ids, int64 [n, length], of which the first in each window does not count."""


@dataclass(frozen=True)
class OwnWriting:
    """Many short texts, of about `tokens` tokens, that the model writes.

    Each begins with a token drawn from all alike.
    """

    model: EditableModel
    tokens: int

    @property
    def source(self) -> Mapping[str, Any]:
        """Seed, amount and length."""
        return {"kind": "sampled", "seed": _OWN_SEED, "tokens": self.tokens, "window": _OWN_WINDOW}

    @property
    def shape(self) -> tuple[int, int]:
        """Of the windows."""
        return -(-self.tokens // (_OWN_WINDOW - 1)), _OWN_WINDOW

    def can_be(self, windows: NDArray[np.int64]) -> bool:
        """Whether every token is one that the model has."""
        rows = int(self.model.model.config.vocab_size)
        return bool((windows >= 0).all() and (windows < rows).all())

    def windows(self, progress: Progress) -> torch.Tensor:
        """int64 [n, length], all written at once."""
        generator = torch.Generator().manual_seed(_OWN_SEED)
        starts = random_tokens(self.model, self.shape[0], generator)
        return sample(
            self.model, starts, _OWN_WINDOW - 1, generator, progress=progress, phase="own text"
        )


class TextFile:
    """The beginning of a UTF-8 text file."""

    def __init__(self, model: EditableModel, file: Path, tokens: int) -> None:
        self._model, self._file, self._tokens = model, file, tokens
        try:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                stream.seek(0)
                self._begin = stream.read(tokens * _BYTES_PER_TOKEN)
        except OSError as error:
            raise RequestRefused(f"the text {file} cannot be read: {error.strerror}") from None
        self.source = {
            "kind": "text", "sha256": digest, "tokens": tokens, "window": _FILE_WINDOW,
            "tokenizer": model.checkpoint.tokenizer_digest,
        }  # fmt: skip

    def windows(self, progress: Progress) -> torch.Tensor:
        """int64 [n, length], one after another; raises RequestRefused if there is not even one."""
        progress("reading text", 0, None)
        text = self._begin.decode("utf-8", errors="ignore")
        pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
        ids: list[int] = []
        while pieces and len(ids) < self._tokens:
            batch, pieces = pieces[:64], pieces[64:]
            coded = self._model.tokenizer(batch, add_special_tokens=False, verbose=False)
            ids += [token for piece in coded["input_ids"] for token in piece]
        count = min(len(ids), self._tokens + _FILE_WINDOW - 1) // _FILE_WINDOW
        if not count:
            raise RequestRefused(
                f"the text {self._file} is too short for key statistics",
                why=f"it has {len(ids)} tokens",
                hint="give a longer text, or none: then the model's own writing is used",
            )
        return torch.tensor(ids[: count * _FILE_WINDOW]).view(count, _FILE_WINDOW)
