"""Pico checkpoints and patches of them, seeded, as tests of all rooms need them."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.composition.compose import compose
from weightpatch.patches.draft import Origin, own_terms, write_draft
from weightpatch.patches.format.manifest import MethodRecord
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.operations.base import Operation
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.replace import Replace
from weightpatch.patches.operations.sparse import Sparse
from weightpatch.patches.requests import EditRequest
from weightpatch.patches.stored_array import Part

Bits = NDArray[Any]
SPELLING = {np.dtype("<f4"): "F32", np.dtype("<f2"): "F16", np.dtype("<u2"): "BF16"}


def stored(values: NDArray[np.float32], dtype: str) -> Bits:
    """Values as a checkpoint of `dtype` stores them; bfloat16 by cutting off."""
    if dtype == "BF16":
        return (values.view("<u4") >> 16).astype("<u2")
    return values.astype({"F32": "<f4", "F16": "<f2"}[dtype])


def write_weights(path: Path, tensors: Mapping[str, Bits]) -> None:
    """A safetensors file as transformers writes it, without our own code or torch."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, array in tensors.items():
        end = offset + array.nbytes
        header[name] = {
            "dtype": SPELLING[array.dtype],
            "shape": array.shape,
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header).encode()
    path.write_bytes(
        len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for a in tensors.values())
    )


@dataclass(frozen=True)
class Pico:
    """Makes small checkpoints, patches and compositions below one folder."""

    root: Path

    DOWN: ClassVar = "model.layers.0.mlp.down_proj.weight"
    UP: ClassVar = "model.layers.0.mlp.up_proj.weight"
    NORM: ClassVar = "model.norm.weight"
    EMBEDDING: ClassVar = "model.embed_tokens.weight"
    REQUEST: ClassVar = EditRequest("The capital of {} is", "France", "Lyon", old_target="Paris")
    OTHER_REQUEST: ClassVar = EditRequest("The mother tongue of {} is", "Danielle", "English")
    CONTRARY_REQUEST: ClassVar = EditRequest("The capital of {} is", "France", "Nice")

    def tensors(self, dtype: str = "BF16", seed: int = 0) -> dict[str, Bits]:
        """An embedding in float16, a norm in float32, two projections in `dtype`."""
        random = np.random.default_rng(seed)
        shapes = {self.EMBEDDING: (5, 6), self.DOWN: (6, 10), self.UP: (10, 6), self.NORM: (6,)}
        dtypes = {self.EMBEDDING: "F16", self.NORM: "F32"}
        return {
            name: stored(random.standard_normal(shape, np.float32), dtypes.get(name, dtype))
            for name, shape in shapes.items()
        }

    def base(
        self, name: str = "base", *, dtype: str = "BF16", seed: int = 0, shards: int = 1
    ) -> Checkpoint:
        """A tied checkpoint with tokenizer and configuration, in one file or in shards."""
        return self.base_of(self.tensors(dtype, seed), name, shards=shards)

    def base_of(
        self, tensors: Mapping[str, Bits], name: str = "base", *, shards: int = 1
    ) -> Checkpoint:
        """A checkpoint of these tensors."""
        folder = self.root / name
        folder.mkdir()
        (folder / "config.json").write_text('{"tie_word_embeddings": true}')
        (folder / "tokenizer.json").write_text('{"version": "1.0"}')
        if shards == 1:
            write_weights(folder / "model.safetensors", tensors)
        else:
            self._write_shards(folder, tensors, shards)
        return Checkpoint.open(folder)

    @staticmethod
    def _write_shards(folder: Path, tensors: Mapping[str, Bits], count: int) -> None:
        weight_map = {}
        for number in range(count):
            file = f"model-{number + 1:05}-of-{count:05}.safetensors"
            names = list(tensors)[number::count]
            write_weights(folder / file, {name: tensors[name] for name in names})
            weight_map.update(dict.fromkeys(names, file))
        index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    def lowrank(self, shape: tuple[int, int], *, rank: int = 1, seed: int = 1) -> LowRank:
        """A random operation about as large as the weights."""
        random = np.random.default_rng(seed)
        return LowRank.snapped(
            random.standard_normal((shape[0], rank)), random.standard_normal((rank, shape[1]))
        )

    def dense(self, shape: tuple[int, ...], *, dtype: str = "F32", seed: int = 1) -> Dense:
        """A random dense delta, stored as `dtype`."""
        return Dense.read({"delta": self.values(shape, dtype, seed)}, shape)

    def sparse(
        self, shape: tuple[int, ...], *, count: int = 4, dtype: str = "F32", seed: int = 1
    ) -> Sparse:
        """Random numbers to add at `count` random entries."""
        return Sparse.read(self.listed(shape, count, dtype, seed), shape)

    def replaced(
        self, shape: tuple[int, ...], *, count: int = 4, dtype: str = "F32", seed: int = 1
    ) -> Replace:
        """Random numbers to put into `count` random entries."""
        return Replace.read(self.listed(shape, count, dtype, seed), shape)

    def replaced_whole(
        self, shape: tuple[int, ...], *, dtype: str = "F32", seed: int = 1
    ) -> Replace:
        """Random numbers to put into every entry."""
        return Replace.read({"values": self.values(shape, dtype, seed)}, shape)

    @staticmethod
    def values(shape: tuple[int, ...], dtype: str, seed: int) -> Bits:
        """Random numbers about as large as the weights."""
        return stored(np.random.default_rng(seed).standard_normal(shape, np.float32), dtype)

    @classmethod
    def listed(cls, shape: tuple[int, ...], count: int, dtype: str, seed: int) -> dict[str, Bits]:
        """The parts of an operation that lists random entries."""
        random = np.random.default_rng(seed)
        indices = np.sort(random.choice(prod(shape), count, replace=False)).astype("<i4")
        return {"indices": indices, "values": cls.values((count,), dtype, seed)}

    def patch(
        self,
        base: Checkpoint,
        name: str = "acme/one",
        *,
        operations: Mapping[str, Sequence[Operation]] | None = None,
        auxiliary: Mapping[str, Bits] | None = None,
        requests: Sequence[EditRequest] = (REQUEST,),
        seed: int = 1,
    ) -> Patch:
        """A patch in a folder of its own; by default of rank 1 on the down projection."""
        found = operations or {self.DOWN: [self.lowrank((6, 10), seed=seed)]}
        folder = self.root / name.replace("/", "-")
        folder.mkdir()
        origin = Origin(name, author="ada", created="2026-01-31T12:00:00Z", message="a fix")
        draft = write_draft(
            folder, base, own_terms(found), auxiliary or {}, requests, self.method(), origin
        )
        (folder / "patch.json").write_bytes(draft.manifest.to_bytes())
        return Patch.open(folder)

    def composed(self, base: Checkpoint, patches: Sequence[Patch], name: str) -> Patch:
        """The composition of `patches`, in a folder of its own."""
        folder = self.root / name.replace("/", "-")
        folder.mkdir()
        origin = Origin(name, author="ada", created="2026-01-31T12:00:00Z")
        draft = compose(base, patches, folder, origin, {"weightpatch": "0"})
        (folder / "patch.json").write_bytes(draft.manifest.to_bytes())
        return Patch.open(folder)

    def built(self, base: Checkpoint, patches: Sequence[Patch], name: str = "build") -> Path:
        """The folder of a build."""
        apply(base, patches, self.root / name)
        return self.root / name

    @staticmethod
    def method() -> MethodRecord:
        """What a test says made its delta."""
        return MethodRecord(
            name="rome",
            version="1",
            hyperparameters={"layer": 0},
            seed=7,
            sampled={"prefixes": ["I think"]},
            statistics=({"sha256": "0" * 64},),
            device="cpu",
            tools={"numpy": "2"},
        )

    @staticmethod
    def rewrite(patch: Patch, **changes: Any) -> Path:
        """Put a changed manifest in the place of a patch's own; gives the folder."""
        folder = patch.files["patch.json"].parent
        changed = replace(patch.manifest, **changes)
        (folder / "patch.json").write_bytes(changed.to_bytes())
        return folder


class Reference:
    """W' = round(W + Δ) one element at a time, in Python's own numbers; raises OverflowError."""

    def patched(self, bits: Bits, dtype: str, operations: Sequence[Operation]) -> Bits:
        """The patched tensor, from the parts of the operations and not from their code."""
        added = [each for each in operations if each.kind in ("lowrank", "dense", "sparse")]
        replaced = [each for each in operations if each.kind == "replace"]
        result = bits.copy()
        for flat, place in enumerate(np.ndindex(bits.shape)):
            deltas = [self.delta(each, place, flat) for each in added]
            if any(delta is not None for delta in deltas):
                total = 0.0
                for delta in deltas:
                    total += delta or 0.0
                total += self.value(bits[place], dtype)
                result[place] = self.rounded(total, dtype, bits.dtype)
            for new in (self.listed(each, place, flat) for each in replaced):
                if new is not None:
                    result[place] = self.rounded(new, dtype, bits.dtype)
        return self.widened(result, dtype, [each for each in operations if each.kind == "widen"])

    def delta(self, operation: Operation, place: tuple[int, ...], flat: int) -> float | None:
        """One entry of a delta, None where nothing is listed.

        That the product of two factors is exact is part of what is tested.
        """
        parts = operation.parts
        if operation.kind == "sparse":
            return self.listed(operation, place, flat)
        if operation.kind == "dense":
            return self.part_value(parts["delta"], place)
        row, column = parts["A"][:][place[0]], parts["B"][:][:, place[1]]
        exact = sum(
            (Fraction(a) * Fraction(b) for a, b in zip(row.tolist(), column.tolist(), strict=True)),
            Fraction(0),
        )
        assert Fraction(float(exact)) == exact
        return float(exact)

    def listed(self, operation: Operation, place: tuple[int, ...], flat: int) -> float | None:
        """What `sparse` or `replace` says of one entry, None if nothing."""
        parts = operation.parts
        if "indices" not in parts:
            return self.part_value(parts["values"], place)
        indices = parts["indices"][:].tolist()
        if flat not in indices:
            return None
        return self.part_value(parts["values"], (indices.index(flat),))

    def widened(self, bits: Bits, dtype: str, operations: Sequence[Operation]) -> Bits:
        """Rows or columns of all `widen` operations behind those of the tensor."""
        for operation in operations:
            ((part, values),) = operation.parts.items()
            slices = np.empty(values.shape, bits.dtype)
            for place in np.ndindex(values.shape):
                value = self.part_value(values, place)
                slices[place] = self.rounded(value, dtype, bits.dtype)
            bits = np.concatenate([bits, slices], axis=("rows", "columns").index(part))
        return bits

    @classmethod
    def part_value(cls, part: Part, place: tuple[int, ...]) -> float:
        """One number of a stored part."""
        return cls.value(part[:][place], SPELLING[part.dtype])

    @staticmethod
    def value(bits: Any, dtype: str) -> float:
        """The number that stored bits stand for."""
        if dtype == "BF16":
            return struct.unpack("<f", struct.pack("<HH", 0, int(bits)))[0]
        return float(bits)

    @staticmethod
    def rounded(value: float, dtype: str, kind: np.dtype[Any]) -> Any:
        """Round to float32 and then to `dtype`, to nearest, ties to even."""
        single = struct.unpack("<f", struct.pack("<f", value))[0]
        if dtype == "F32":
            return kind.type(single)
        if dtype == "F16":
            return kind.type(struct.unpack("<e", struct.pack("<e", single))[0])
        below = struct.unpack("<HH", struct.pack("<f", single))[1]
        nearest = min(
            (below, below + 1),
            key=lambda bits: (abs(Fraction(Reference.wide(bits)) - Fraction(single)), bits % 2),
        )
        if nearest & 0x7F80 == 0x7F80:
            raise OverflowError
        return kind.type(nearest)

    @staticmethod
    def wide(bits: int) -> float:
        """Value of bfloat16 bits, infinity taken for the power of two in whose place it stands."""
        if bits & 0x7FFF == 0x7F80:
            return -(2.0**128) if bits & 0x8000 else 2.0**128
        return Reference.value(bits, "BF16")


@pytest.fixture(scope="session")
def reference() -> Reference:
    """The contract's arithmetic, written a second time and in another way."""
    return Reference()


@pytest.fixture
def pico(tmp_path: Path) -> Pico:
    """Small checkpoints and patches in the test's own folder."""
    return Pico(tmp_path)
