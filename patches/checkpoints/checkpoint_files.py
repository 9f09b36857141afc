"""The weight files of a checkpoint folder: which they are, and where each tensor lies in them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import CheckpointRefused, ManifestError
from ..format import jsonfile
from ..format.names import quoted
from ..format.safetensors_file import CHECKPOINT, read_header

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
OTHER_WEIGHTS = (*PICKLES, "*.safetensors", "*.gguf", "*.h5", "*.msgpack", "*.onnx", "*.index.json")
"""Files with weights, unless they are those of the checkpoint itself."""

MAX_JSON = 64 << 20
"""Bytes of config.json, and of the index of shards."""

_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}\.safetensors")
_FETCH_AGAIN = "the checkpoint is damaged; fetch it again"


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies: its file, type, shape, and bytes [start, stop) of the file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def weight_files(path: Path) -> Mapping[Path, frozenset[str] | None]:
    """The files that hold the weights, and which tensors each must have; None for any.

    A single file comes before an index, as in transformers. Raises CheckpointRefused.
    """
    if (path / SINGLE).is_file():
        return {path / SINGLE: None}
    if (path / INDEX).is_file():
        return _shards(path)
    if any(found for pattern in PICKLES for found in path.glob(pattern)):
        raise CheckpointRefused(
            f"{path} holds pickle files",
            why="opening a pickle can run any code, so weightpatch never does",
            hint="convert it where you trust it: AutoModelForCausalLM.from_pretrained(SOURCE)"
            ".save_pretrained(TARGET, safe_serialization=True)",
        )
    raise CheckpointRefused(
        f"{path} holds no checkpoint",
        why=f"neither {SINGLE} nor {INDEX} is there",
        hint="give the folder that save_pretrained wrote",
    )


def _shards(path: Path) -> Mapping[Path, frozenset[str]]:
    shards = read_index(path / INDEX)
    require_shards(shards, there=lambda shard: (path / shard).is_file())
    return {path / shard: names for shard, names in shards.items()}


def require_shards(shards: Iterable[str], *, there: Callable[[str], bool]) -> None:
    """Raise CheckpointRefused unless each is a safetensors file beside the index, and `there`."""
    for shard in shards:
        if not _SHARD.fullmatch(shard) or not there(shard):
            raise CheckpointRefused(
                f"{INDEX} names the shard {quoted(shard)}, which is no safetensors file beside it",
                hint=_FETCH_AGAIN,
            )


def read_limited(file: Path, limit: int) -> bytes:
    """The bytes of a file beside the weights; raises CheckpointRefused if they are too many."""
    with file.open("rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise CheckpointRefused(f"{file} is larger than {limit} bytes", hint=_FETCH_AGAIN)
    return data


def read_index(file: Path) -> Mapping[str, frozenset[str]]:
    """The shards that an index names, and the tensors of each; raises CheckpointRefused."""
    shards: dict[str, set[str]] = {}
    for name, shard in _read_weight_map(file).items():
        shards.setdefault(shard, set()).add(name)
    return {shard: frozenset(names) for shard, names in sorted(shards.items())}


def _read_weight_map(file: Path) -> Mapping[str, str]:
    try:
        weight_map = jsonfile.parse(read_limited(file, MAX_JSON), what=INDEX).get("weight_map")
    except ManifestError as error:
        raise CheckpointRefused(error.message, hint=_FETCH_AGAIN) from None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointRefused(f"{INDEX} has no weight_map", hint=_FETCH_AGAIN)
    if not all(isinstance(shard, str) for shard in weight_map.values()):
        raise CheckpointRefused(f"weight_map in {INDEX} must name files", hint=_FETCH_AGAIN)
    return weight_map


def read_headers(contents: Mapping[Path, frozenset[str] | None]) -> dict[str, TensorInfo]:
    """The tensors of all files by name; raises CheckpointRefused, FormatError."""
    tensors: dict[str, TensorInfo] = {}
    for file, expected in contents.items():
        found = _read_header(file)
        if expected is not None and set(found) != expected:
            odd = min(set(found) ^ expected)
            raise CheckpointRefused(
                f"{INDEX} and {file.name} disagree about {quoted(odd)}", hint=_FETCH_AGAIN
            )
        tensors.update(found)
    return tensors


def _read_header(file: Path) -> dict[str, TensorInfo]:
    try:
        with file.open("rb") as stream:
            header = read_header(stream, CHECKPOINT, what=file.name)
    except OSError as error:
        raise CheckpointRefused(f"{file} cannot be read: {error.strerror}") from None
    return {
        name: TensorInfo(file, record.dtype, record.shape, record.start, record.stop)
        for name, record in header.tensors.items()
    }
