"""Names of a checkpoint's tensors and those of the live transformers model, one for the other."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ..checkpoints.architectures import Architecture, find_architecture
from ..checkpoints.checkpoint import Checkpoint
from ..errors import BaseMismatch, CheckpointRefused, Unsupported
from ..format.names import quoted

HEAD = "lm_head"
_EMBEDDINGS = ("embed_tokens", "wte", "wpe")
"""Last parts of the paths of modules that look rows up in their weight."""


@dataclass(frozen=True)
class ModuleNames:
    """The names of one checkpoint.

    Checkpoints of a bare decoder leave out its name: GPT-2's has h.0… for transformer.h.0….
    """

    checkpoint: Checkpoint

    def stored(self, name: str) -> str:
        """The stored tensor that a parameter of the live model is; raises BaseMismatch.

        A model without a head, whose names lack that of the decoder, will do as well.
        """
        known = self.checkpoint.tensors
        if name in self.checkpoint.tied or name in known:
            return self.checkpoint.resolve(name)
        bare = name.partition(".")[2]
        found = [bare] if bare in known else self._without_prefix.get(name, [])
        if len(found) != 1:
            raise BaseMismatch(
                f"{self.checkpoint.id} has no tensor {quoted(name)}",
                why="several end so" if found else None,
                hint="give the base that the adapter was trained on",
            )
        return found[0]

    def live(self, stored: str) -> str:
        """The parameter of the live model that a stored tensor is; raises Unsupported."""
        backbone = self.known_architecture.backbone
        bare = not any(name.startswith(f"{backbone}.") for name in self.checkpoint.tensors)
        if not bare or stored.startswith(f"{HEAD}."):
            return stored
        return f"{backbone}.{stored}"

    def shares(self, stored: str) -> list[str]:
        """Other parameters of the live model that are the same tensor."""
        return [
            self.live(share) for share, found in self.checkpoint.tied.items() if found == stored
        ]

    def is_embedding(self, name: str) -> bool:
        """Whether a weight, by either name, is a table of embeddings."""
        return name.removesuffix(".weight").rpartition(".")[2] in _EMBEDDINGS

    def is_transposed(self, stored: str) -> bool | None:
        """Whether a linear map's weight is stored [in, out]; None for an unknown architecture."""
        if self.architecture is None:
            return None
        inside = rf"(^|\.){re.escape(self.architecture.layers)}\.[0-9]"
        return self.architecture.transposed and bool(re.search(inside, stored))

    @property
    def known_architecture(self) -> Architecture:
        """The architecture; raises Unsupported, CheckpointRefused if it is not known."""
        return find_architecture(self.checkpoint.config)

    @cached_property
    def architecture(self) -> Architecture | None:
        """The architecture, if it is known."""
        try:
            return self.known_architecture
        except (Unsupported, CheckpointRefused):
            return None

    @cached_property
    def _without_prefix(self) -> Mapping[str, list[str]]:
        found = defaultdict(list)
        for name in self.checkpoint.tensors:
            found[name.partition(".")[2]].append(name)
        return found
