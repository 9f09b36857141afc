"""safetensors files without the code under test: mapped to read, streamed to write."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

INDEX = "model.safetensors.index.json"
BITS = {"F32": np.dtype("<u4"), "BF16": np.dtype("<u2")}


@dataclass(frozen=True)
class Spec:
    """Type and shape of one tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Its size in a file."""
        return prod(self.shape) * BITS[self.dtype].itemsize


@dataclass(frozen=True)
class Tensor:
    """One tensor of a mapped file; `bits` are its entries as unsigned integers."""

    spec: Spec
    bits: NDArray[Any]

    def values(self) -> NDArray[np.float32]:
        """The entries as float32, exactly."""
        if self.spec.dtype == "F32":
            return self.bits.view("<f4")
        return (self.bits.astype("<u4") << 16).view("<f4")


def rounded(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Finite float32 values as the bits of `dtype`, to nearest, ties to even."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    if dtype == "F32":
        return bits
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def write_file(path: Path, specs: Mapping[str, Spec], arrays: Iterable[NDArray[Any]]) -> None:
    """Write a file tensor by tensor; `arrays` come in the order of `specs`."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, spec in specs.items():
        end = offset + spec.bytes
        header[name] = {"dtype": spec.dtype, "shape": spec.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays:
            file.write(np.ascontiguousarray(array).data)


def open_file(path: Path) -> dict[str, Tensor]:
    """The tensors of one file in the order of its data, mapped."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    data = np.memmap(path, np.uint8, "r", offset=8 + length)
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        spec = Spec(entry["dtype"], tuple(entry["shape"]))
        start, end = entry["data_offsets"]
        tensors[name] = Tensor(spec, data[start:end].view(BITS[spec.dtype]).reshape(spec.shape))
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a checkpoint, from its index if it has one."""
    if (folder / INDEX).exists():
        index = json.loads((folder / INDEX).read_text())
        return [folder / name for name in sorted(set(index["weight_map"].values()))]
    return [folder / "model.safetensors"]


def open_folder(folder: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint, mapped."""
    return {
        name: tensor for path in weight_files(folder) for name, tensor in open_file(path).items()
    }
