"""The four edits: for each the patch, what the peers take instead, and the exact result."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .patches import DensePart, Factors, grid_factors, write_patch
from .weights import INDEX, Spec, Tensor, open_file, open_folder, rounded, weight_files, write_file

RANKS = {"a": 1, "b": 32, "c": 16}
TITLES = {
    "a": "rank 1 on one tensor",
    "b": "rank 32 on five tensors",
    "c": "rank 16 on every linear layer",
    "d": "a dense change of every linear layer",
}
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NOISE = 0.01

Deltas = Callable[[str, Tensor], NDArray[np.float32]]


@dataclass(frozen=True)
class Edit:
    """One edit of one model, in a folder of its own.

    `patch/` is ours; `adapter/` the same factors for PEFT, or `delta.safetensors` the same dense
    change under the tensors' own names; `edited/` the checkpoint that must come out.
    """

    case: str
    base: Path
    folder: Path
    tensors: tuple[str, ...]

    @property
    def patch(self) -> Path:
        """The patch."""
        return self.folder / "patch"

    @property
    def adapter(self) -> Path:
        """The PEFT adapter; there is none for a dense change."""
        return self.folder / "adapter"

    @property
    def delta(self) -> Path:
        """The dense change; there is none for factors."""
        return self.folder / "delta.safetensors"

    @property
    def edited(self) -> Path:
        """The exact result."""
        return self.folder / "edited"

    @property
    def shards(self) -> list[Path]:
        """The weight files of the base that hold an edited tensor."""
        touched = set(self.tensors)
        return [path for path in weight_files(self.base) if touched & open_file(path).keys()]


def prepare(case: str, base: Path, folder: Path) -> Edit:
    """Make an edit, unless a folder kept from another run has it."""
    tensors = open_folder(base)
    names = _touched(case, tensors)
    edit = Edit(case, base, folder, tuple(names))
    if (folder / "ready").exists():
        return edit
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    chosen = {name: tensors[name] for name in names}
    if case == "d":
        _write_dense(edit.delta, chosen)
        change = open_file(edit.delta)
        write_patch(edit.patch, base, {name: DensePart(change[name]) for name in names})
        _write_edited(edit, lambda name, _: change[name].values())
    else:
        factors = _factors(chosen, RANKS[case])
        _write_adapter(edit, factors, RANKS[case])
        write_patch(edit.patch, base, factors)
        _write_edited(edit, lambda name, _: factors[name].product())
    (folder / "ready").touch()
    return edit


def _touched(case: str, tensors: Mapping[str, Tensor]) -> list[str]:
    linear = [name for name in tensors if name.split(".")[-2] in LINEAR]
    if case in "cd":
        return linear
    layers = len(linear) // len(LINEAR)
    span = 1 if case == "a" else 5
    first = layers // 2 - span // 2
    return [f"model.layers.{layer}.mlp.down_proj.weight" for layer in range(first, first + span)]


def _rms(tensor: Tensor) -> float:
    values = tensor.values()
    return float(np.sqrt(np.mean(np.square(values))))


def _factors(tensors: Mapping[str, Tensor], rank: int) -> dict[str, Factors]:
    """Factors on the grid whose product is about as large as the noise of the dense case."""
    random = np.random.default_rng(1)
    made = {}
    for name, tensor in tensors.items():
        rows, columns = tensor.spec.shape
        size = np.sqrt(NOISE * _rms(tensor) / np.sqrt(rank))
        a, b = random.standard_normal((rows, rank)), random.standard_normal((rank, columns))
        made[name] = grid_factors(size * a, size * b)
    return made


def _write_adapter(edit: Edit, factors: Mapping[str, Factors], rank: int) -> None:
    """The factors as PEFT stores them: lora_A [r, in] is our B, lora_B [out, r] our A."""
    edit.adapter.mkdir()
    arrays: dict[str, NDArray[np.float32]] = {}
    for name, pair in factors.items():
        module = "base_model.model." + name.removesuffix(".weight")
        arrays[f"{module}.lora_A.weight"] = pair.b
        arrays[f"{module}.lora_B.weight"] = pair.a
    specs = {name: Spec("F32", array.shape) for name, array in arrays.items()}
    write_file(edit.adapter / "adapter_model.safetensors", specs, arrays.values())
    modules = [name.removesuffix(".weight") for name in factors]
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(edit.base.resolve()),
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(LINEAR) if edit.case == "c" else modules,
    }
    (edit.adapter / "adapter_config.json").write_text(json.dumps(config, indent=2))


def _write_dense(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Noise in the tensors' own type, one tensor in memory at a time."""
    random = np.random.default_rng(2)

    def noise() -> Iterator[NDArray[Any]]:
        for tensor in tensors.values():
            values = random.standard_normal(tensor.spec.shape, np.float32)
            values *= np.float32(NOISE * _rms(tensor))
            yield rounded(values, tensor.spec.dtype)

    write_file(path, {name: tensor.spec for name, tensor in tensors.items()}, noise())


def _write_edited(edit: Edit, delta: Deltas) -> None:
    """W + Δ in float64, rounded to float32 and then to the tensor's type, in the base's shards."""
    edit.edited.mkdir()
    for file in edit.base.iterdir():
        if file.suffix != ".safetensors" or file.name == INDEX:
            shutil.copy(file, edit.edited)
    touched = set(edit.tensors)
    for path in weight_files(edit.base):
        tensors = open_file(path)
        results = (
            _sum(tensor, delta(name, tensor)) if name in touched else tensor.bits
            for name, tensor in tensors.items()
        )
        specs = {name: tensor.spec for name, tensor in tensors.items()}
        write_file(edit.edited / path.name, specs, results)


def _sum(tensor: Tensor, delta: NDArray[Any]) -> NDArray[Any]:
    total = (tensor.values().astype(np.float64) + delta).astype(np.float32)
    return rounded(total, tensor.spec.dtype)
