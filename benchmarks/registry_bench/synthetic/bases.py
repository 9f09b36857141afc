"""The checkpoints that the versions of a synthetic registry are edits of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from weightpatch.patches.digests import sha256

from .population import BASES, LAYERS

DTYPE, SHAPE = "BF16", "[576, 1536]"


@dataclass(frozen=True)
class Base:
    """One checkpoint: its name, and the tensors that are edited, with their digests."""

    number: int
    name: str

    @property
    def revision(self) -> str:
        """What a commit on a hub looks like."""
        return self.fingerprint[:40]

    @property
    def fingerprint(self) -> str:
        """One name for all its tensors."""
        return sha256(f"fingerprint of {self.name}".encode())

    @property
    def tokenizer(self) -> str:
        """Digest of its tokenizer."""
        return sha256(f"tokenizer of {self.name}".encode())

    @property
    def tensors(self) -> Sequence[tuple[str, str]]:
        """Name and digest of each tensor, by its layer."""
        form = ("model.layers.{}.mlp.down_proj.weight", "h.{}.mlp.c_proj.weight")[self.number > 0]
        names = [form.format(layer) for layer in range(LAYERS)]
        return [(name, sha256(f"{name} of {self.name}".encode())) for name in names]


def all_bases() -> list[Base]:
    """The bases in the order of their numbers."""
    return [Base(number, name) for number, (name, _) in enumerate(BASES)]


def rows(recorded: str) -> Iterator[tuple[str, list[tuple[object, ...]]]]:
    """Rows of the tables about bases, by table."""
    bases = all_bases()
    yield (
        "base",
        [
            (one.number + 1, one.fingerprint, one.name, one.revision, one.tokenizer, recorded)
            for one in bases
        ],
    )
    yield (
        "base_tensor",
        [
            (one.number + 1, name, DTYPE, SHAPE, digest)
            for one in bases
            for name, digest in one.tensors
        ],
    )
    yield (
        "base_location",
        [(one.number + 1, one.number + 1, f"/models/{one.number}", recorded) for one in bases],
    )
