"""A PEFT adapter as files: hashed first, then read strictly. Pickles are never opened."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..arithmetic import dtypes
from ..digests import Stamp, file_stamp, sha256, sha256_file
from ..errors import CheckpointRefused, DigestMismatch, LimitExceeded, ManifestError
from ..format import jsonfile
from ..format.names import quoted
from ..format.patch import MAX_DELTA_BYTES
from ..format.safetensors_file import DELTA, METADATA_KEY, read_header
from ..stored_array import StoredArray
from .adapter_config import CONFIG, AdapterConfig

WEIGHTS = "adapter_model.safetensors"
MAX_CONFIG = 1 << 20
LIMITS = replace(DELTA, header_bytes=64 << 20, tensors=200_000, dtypes=frozenset(dtypes.STORAGE))
"""What the header of an adapter may claim."""

_PICKLE = "adapter_model.bin"
_CONVERT = (
    "convert it where you trust it: PeftModel.from_pretrained(MODEL, SOURCE)"
    ".save_pretrained(TARGET)"
)


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter: its settings, its tensors, still unread, and the sha256 of its files.

    `ranks` says, for an adapter that weightpatch wrote, of which operations the factors of a module
    were put together.
    """

    folder: Path
    config: AdapterConfig
    tensors: Mapping[str, StoredArray]
    ranks: Mapping[str, tuple[int, ...]]
    digests: Mapping[str, str]
    stamp: Stamp

    @classmethod
    def open(cls, folder: Path | str) -> "Adapter":
        """Read settings and header of the adapter in a folder, as PEFT's save_pretrained wrote it.

        Raises CheckpointRefused if there is none, or a pickle in its place, ManifestError,
        LimitExceeded, FormatError, NameRefused, and Unsupported for what is no plain LoRA.
        """
        folder = Path(folder)
        _require_adapter(folder)
        data = _read_config(folder / CONFIG)
        config = AdapterConfig.parse(data)
        weights = folder / WEIGHTS
        stamp = file_stamp(weights)
        _limit_weights(weights)
        digests = {CONFIG: sha256(data), WEIGHTS: sha256_file(weights)}
        with weights.open("rb") as file:
            header = read_header(file, LIMITS, what=WEIGHTS)
        tensors = {
            name: StoredArray(weights, dtypes.storage(info.dtype), info.shape, info.start)
            for name, info in header.tensors.items()
        }
        return cls(folder, config, tensors, _ranks(header.metadata), digests, stamp)

    def require_unchanged(self) -> None:
        """Raise DigestMismatch if the tensors are not any more those that were hashed."""
        weights = self.folder / WEIGHTS
        if not weights.is_file() or (
            file_stamp(weights) != self.stamp and sha256_file(weights) != self.digests[WEIGHTS]
        ):
            raise DigestMismatch(
                f"{WEIGHTS} changed while it was read",
                hint="let nothing write into the adapter, and try again",
            )


def _require_adapter(folder: Path) -> None:
    if not folder.is_dir():
        raise CheckpointRefused(
            f"{folder} is not a folder",
            hint="give the folder of an adapter; one on the Hub is fetched with hf download",
        )
    if not (folder / WEIGHTS).is_file():
        if (folder / _PICKLE).exists():
            raise CheckpointRefused(
                f"{folder} holds {_PICKLE}, a pickle, and no {WEIGHTS}",
                why="opening a pickle can run any code, so weightpatch never does",
                hint=_CONVERT,
            )
        raise CheckpointRefused(
            f"{folder} holds no adapter",
            why=f"{WEIGHTS} is not there",
            hint="give the folder that PEFT's save_pretrained wrote",
        )
    if not (folder / CONFIG).is_file():
        raise CheckpointRefused(
            f"{folder} holds no adapter",
            why=f"{CONFIG} is not there, without which the scale of the factors is unknown",
            hint="give the folder that PEFT's save_pretrained wrote",
        )


def _read_config(file: Path) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(MAX_CONFIG + 1)
    if len(data) > MAX_CONFIG:
        raise LimitExceeded(
            f"{CONFIG} is larger than {MAX_CONFIG} bytes",
            why="settings take a few thousand, unless they list what a pattern could name",
            hint="shorten its lists: PEFT needs r, lora_alpha, rank_pattern and alpha_pattern",
        )
    return data


def _limit_weights(file: Path) -> None:
    size = file.stat().st_size
    if size > MAX_DELTA_BYTES:
        raise LimitExceeded(
            f"{WEIGHTS} takes {size} bytes, more than {MAX_DELTA_BYTES}",
            why="a patch may not be larger either",
            hint="leave out modules_to_save, or give an adapter of a smaller rank",
        )


def _ranks(metadata: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """What `to_peft` noted: by tensor, the ranks of the operations side by side in its factors."""
    if METADATA_KEY not in metadata:
        return {}
    what = f"the metadata of {WEIGHTS}"
    ranks = jsonfile.parse(metadata[METADATA_KEY].encode(), what=what).get("ranks", {})
    if not isinstance(ranks, dict):
        raise ManifestError(f"ranks in {what} must be an object")
    for name, found in ranks.items():
        if not isinstance(found, list) or not all(type(r) is int and r >= 1 for r in found):
            raise ManifestError(
                f"ranks of {quoted(name)} in {what} must be a list of whole numbers"
            )
    return {name: tuple(found) for name, found in ranks.items()}
