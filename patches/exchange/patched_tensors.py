"""Patched tensors by themselves: as one safetensors file, or as a state dict in memory."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ..arithmetic.dtypes import WIDTH
from ..builds import cloning
from ..builds.plan import Plan, plan
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.checkpoint_files import TensorInfo
from ..digests import file_stamp
from ..errors import DigestMismatch, SizeMismatch, Unsupported
from ..format.patch import Patch
from ..progress import Progress, silent
from ..promises import unexpected
from ..stored_array import raw_bytes
from ..summation import bits_digest, patched, stream
from .module_names import ModuleNames
from .new_file import new_file
from .targets import require_apart

if TYPE_CHECKING:
    import torch

_METADATA = {"format": "pt"}
"""Without it transformers takes a file for one of another library."""


@dataclass(frozen=True)
class Written:
    """The tensors of a file that was written, by name, each with the stored tensor that it is.

    `digests` are the sha256 of those that a patch changed, by their names in the checkpoint.
    """

    sources: Mapping[str, str]
    digests: Mapping[str, str]


def write_patched(
    checkpoint: Checkpoint,
    patches: Sequence[Patch],
    target: Path | str,
    *,
    full: bool = False,
    live_names: bool = False,
    force: bool = False,
    progress: Progress = silent,
) -> Written:
    """Write the patched tensors as one safetensors file, whole or not at all.

    These are the tensors that the patches touch, or with `full` all of the checkpoint; under the
    checkpoint's names, or with `live_names` under those of the transformers model, for
    `load_state_dict(…, strict=False)`. Each result is compared with the promised one. `force`
    replaces a file of tensors that is there. Raises Unsupported for patches that add neurons,
    BaseMismatch, ConflictFound, DigestMismatch, SizeMismatch, TargetExists, PathRefused, NoSpace,
    and what applying them raises.
    """
    target = Path(target)
    require_apart(target, checkpoint, patches)
    found = _planned(checkpoint, patches)
    sources = _named(checkpoint, found, full=full, live=live_names)
    header, layout = _laid_out(
        target, {name: checkpoint.tensors[own] for name, own in sources.items()}
    )
    size = max((info.stop for info in layout.values()), default=len(header))
    with new_file(target, size, replace=force) as file:
        file.write(header)
        digests = {}
        for name, info in layout.items():
            progress("writing", info.start, size)
            if sources[name] in found.rewrites:
                digests[sources[name]] = _write_computed(file, found, sources[name], info)
            else:
                _copy(file, checkpoint.tensors[sources[name]], info)
        progress("writing", size, size)
        checkpoint.require_unchanged(found.rewrites)
        _require_untouched(checkpoint, set(sources.values()) - set(found.rewrites))
        for patch in patches:
            patch.require_unchanged()
    return Written(sources, digests)


def state_dict(checkpoint: Checkpoint, patches: Sequence[Patch]) -> "dict[str, torch.Tensor]":
    """The tensors that patches touch, patched, under the names of the live transformers model.

    For `model.load_state_dict(…, strict=False)` of the model that `from_pretrained` reads from the
    checkpoint: the types are the checkpoint's, and a tied tensor stands under all of its names.
    Raises as `write_patched`.
    """
    import torch

    found = _planned(checkpoint, patches)
    names = ModuleNames(checkpoint)
    tensors: dict[str, torch.Tensor] = {}
    for stored, tensor in found.rewrites.items():
        bits = patched(tensor.part[:], tensor.dtype, tensor.operations)
        _require_promised(found, stored, bits_digest(bits))
        values = torch.from_numpy(bits)
        if tensor.dtype == "BF16":
            values = values.view(torch.bfloat16)
        tensors |= dict.fromkeys((names.live(stored), *names.shares(stored)), values)
    checkpoint.require_unchanged(found.rewrites)
    return tensors


def _planned(checkpoint: Checkpoint, patches: Sequence[Patch]) -> Plan:
    found = plan(checkpoint, patches)
    for name, tensor in found.rewrites.items():
        if tensor.shape != checkpoint.tensors[name].shape:
            raise Unsupported(
                f"{name} gets another shape: the patches add neurons",
                why="tensors alone do not fit a model whose config.json says otherwise",
                hint="write a patched checkpoint with weightpatch apply",
            )
    return found


def _named(checkpoint: Checkpoint, found: Plan, *, full: bool, live: bool) -> dict[str, str]:
    """The stored tensors to write, by the names that they get."""
    stored = sorted(checkpoint.tensors if full else found.rewrites)
    if not live:
        return {name: name for name in stored}
    names = ModuleNames(checkpoint)
    return {names.live(name): name for name in stored}


def _laid_out(
    target: Path, tensors: Mapping[str, TensorInfo]
) -> tuple[bytes, dict[str, TensorInfo]]:
    """The header, and where each tensor will lie: widest type first, so that all are aligned."""
    order = sorted(tensors, key=lambda name: (-WIDTH[tensors[name].dtype], name))
    header: dict[str, object] = {"__metadata__": _METADATA}
    layout, offset = {}, 0
    for name in order:
        info = tensors[name]
        stop = offset + prod(info.shape) * WIDTH[info.dtype]
        header[name] = {
            "dtype": info.dtype,
            "shape": list(info.shape),
            "data_offsets": [offset, stop],
        }
        layout[name] = replace(info, file=target, start=offset, stop=stop)
        offset = stop
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    placed = {
        name: replace(info, start=info.start + len(head), stop=info.stop + len(head))
        for name, info in layout.items()
    }
    return head, placed


def _write_computed(file: BinaryIO, found: Plan, stored: str, info: TensorInfo) -> str:
    digest = hashlib.sha256()
    file.seek(info.start)
    for block in stream(found.rewrites[stored]):
        data = raw_bytes(np.ascontiguousarray(block))
        file.write(data)
        digest.update(data)
    _require_promised(found, stored, digest.hexdigest())
    return digest.hexdigest()


def _require_promised(found: Plan, stored: str, digest: str) -> None:
    expected = found.promised.get(stored, digest)
    if digest != expected:
        raise unexpected(stored, expected, digest)


def _require_untouched(checkpoint: Checkpoint, copied: Iterable[str]) -> None:
    """Raise DigestMismatch if a file changed since its headers were read: copies have no digest."""
    for file in {checkpoint.tensors[name].file for name in copied}:
        if file_stamp(file) != checkpoint.stamps[file]:
            raise DigestMismatch(
                f"{file.name} of the base changed while it was read",
                hint="let nothing write into the base, and try again",
            )


def _copy(file: BinaryIO, source: TensorInfo, info: TensorInfo) -> None:
    file.flush()
    with source.file.open("rb", buffering=0) as own:
        try:
            cloning.copy_range(
                own.fileno(),
                file.fileno(),
                source.stop - source.start,
                start=source.start,
                place=info.start,
            )
        except EOFError as error:
            raise SizeMismatch(str(error), hint="let nothing write into the base") from None
