"""A patch of low-rank operations as an adapter that PEFT loads, its factors as they are.

PEFT computes W' = W + (lora_alpha/r) B A. Here lora_alpha = r everywhere, so the scale is 1 and
each factor keeps its bits. Servers that know one r and one lora_alpha compute the same.
"""

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base_match import match_base
from ..builds.staging import staged
from ..checkpoints.checkpoint import Checkpoint
from ..errors import TargetExists, Unsupported
from ..format.manifest import BaseRecord
from ..format.patch import Patch
from ..format.safetensors_file import write_tensors
from ..operations.base import Operation
from ..operations.lowrank import LowRank
from .adapter import WEIGHTS
from .adapter_config import CONFIG
from .adapter_tensors import PREFIX
from .module_names import ModuleNames
from .targets import require_apart

_OWN_FILES = frozenset({CONFIG, WEIGHTS, "README.md", ".gitattributes"})
_OTHERWISE = "export it with --to safetensors, or write a patched checkpoint with weightpatch apply"


@dataclass(frozen=True)
class Exported:
    """What an adapter holds: by module, the ranks of the operations that its factors sum up."""

    ranks: Mapping[str, Sequence[int]]

    @property
    def rank(self) -> int:
        """The largest rank: what a server must allow for."""
        return max(map(sum, self.ranks.values()))


@dataclass(frozen=True)
class _Module:
    """One adapted module, its operations side by side as down [r, in] and up [out, r]."""

    path: str
    embedding: bool
    transposed: bool
    ranks: tuple[int, ...]
    down: NDArray[np.float32]
    up: NDArray[np.float32]

    @property
    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The factors under PEFT's names."""
        stem = f"{PREFIX}{self.path}."
        names = ("lora_A.weight", "lora_B.weight")
        if self.embedding:
            names = ("lora_embedding_A", "lora_embedding_B")
        return {stem + names[0]: self.down, stem + names[1]: self.up}


def to_peft(
    patch: Patch, checkpoint: Checkpoint, folder: Path | str, *, force: bool = False
) -> Exported:
    """Write a patch as the PEFT adapter `folder`, whole or not at all.

    `checkpoint` is the patch's base: its configuration says what its modules are called, and how
    their weights are stored. `force` exchanges an adapter that is already there for the new one.
    Raises Unsupported for an operation other than `lowrank`, a shared weight, an architecture that
    is not known; BaseMismatch, TargetExists, PathRefused, NoSpace, and as opening the patch raises.
    """
    folder = Path(folder)
    base = match_base(patch, checkpoint)
    names = ModuleNames(checkpoint)
    modules = [_module(names, name, found) for name, found in patch.operations.items()]
    ranks = {module.path: module.ranks for module in modules}
    require_apart(folder, checkpoint, [patch])
    _require_adapter(folder, force=force)
    with staged(folder, replace=force) as partial:
        tensors = {key: array for each in modules for key, array in each.tensors.items()}
        write_tensors(partial / WEIGHTS, tensors, _noted(patch, ranks))
        text = json.dumps(_config(base, modules), indent=2, sort_keys=True)
        (partial / CONFIG).write_text(text + "\n")
        patch.require_unchanged()
        _require_adapter(folder, force=force)
    return Exported(ranks)


def _module(names: ModuleNames, stored: str, operations: Sequence[Operation]) -> _Module:
    pairs = [operation for operation in operations if isinstance(operation, LowRank)]
    for operation in operations:
        if operation.kind != LowRank.kind:
            raise Unsupported(
                f"the patch cannot be a PEFT adapter: it changes {stored} by `{operation.kind}`",
                why="an adapter holds low-rank changes and nothing else",
                hint=_OTHERWISE,
            )
    name = names.live(stored)
    if not name.endswith(".weight"):
        raise Unsupported(
            f"{stored} is no module's weight, so PEFT cannot adapt it", hint=_OTHERWISE
        )
    if shares := names.shares(stored):
        raise Unsupported(
            f"the patch cannot be a PEFT adapter: {stored} is also {shares[0]}",
            why="an adapter would change one of them, the patch changes both",
            hint=_OTHERWISE,
        )
    embedding = names.is_embedding(name)
    transposed = bool(names.is_transposed(stored))
    a = np.concatenate([pair.a[:] for pair in pairs], axis=1)
    b = np.concatenate([pair.b[:] for pair in pairs], axis=0)
    down, up = (a.T, b.T) if embedding or transposed else (b, a)
    ranks = tuple(pair.size for pair in pairs)
    return _Module(name.removesuffix(".weight"), embedding, transposed, ranks, down, up)


def _config(base: BaseRecord, modules: Sequence[_Module]) -> dict[str, Any]:
    """The settings of a plain LoRA; modules of another than the usual rank are listed."""
    ranks = {module.path: sum(module.ranks) for module in modules}
    most = max(ranks.values())
    others = {path: rank for path, rank in ranks.items() if rank != most}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.id,
        "revision": base.revision,
        "r": most,
        "lora_alpha": most,
        "rank_pattern": others,
        "alpha_pattern": others,
        "target_modules": sorted(ranks),
        "fan_in_fan_out": any(module.transposed for module in modules),
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": False,
        "use_dora": False,
        "modules_to_save": None,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def _noted(patch: Patch, ranks: Mapping[str, Sequence[int]]) -> str:
    """Where the adapter comes from, and how operations that stand side by side are told apart."""
    several = {path: found for path, found in ranks.items() if len(found) > 1}
    note = {"version": patch.label, "digest": patch.digest, "ranks": several}
    return json.dumps(note, sort_keys=True)


def _require_adapter(folder: Path, *, force: bool) -> None:
    """Raise TargetExists for what `force` should not throw away."""
    if force and os.path.lexists(folder) and not _is_adapter_alone(folder):
        raise TargetExists(
            f"{folder} is not the folder of an adapter alone",
            why="it would be exchanged for the new one, and all that it holds lost",
            hint="name another folder",
        )


def _is_adapter_alone(folder: Path) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    found = {entry.name: entry.lstat().st_mode for entry in folder.iterdir()}
    return CONFIG in found and all(
        name in _OWN_FILES and stat.S_ISREG(mode) for name, mode in found.items()
    )
