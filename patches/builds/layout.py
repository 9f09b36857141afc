"""Where each tensor of a weight file goes in its copy, whose tensors may have other shapes."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from ..arithmetic.dtypes import WIDTH
from ..checkpoints.checkpoint_files import TensorInfo

_PREFIX = 8
_ALIGNMENT = 8


@dataclass(frozen=True)
class Layout:
    """A weight file to be written: its header, and the tensors in the order of their bytes.

    `sources` are the tensors as they lie in the source, `targets` as they will lie in the copy.
    """

    header: bytes
    sources: Mapping[str, TensorInfo]
    targets: Mapping[str, TensorInfo]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return max((info.stop for info in self.targets.values()), default=len(self.header))

    @property
    def is_unchanged(self) -> bool:
        """Whether every tensor stays where it was."""
        return all(
            (info.start, info.stop) == (self.targets[name].start, self.targets[name].stop)
            for name, info in self.sources.items()
        )


def plan_layout(
    source: Path,
    target: Path,
    tensors: Mapping[str, TensorInfo],
    shapes: Mapping[str, tuple[int, ...]],
) -> Layout:
    """The copy of `source`, which holds `tensors`, where some take other `shapes`."""
    ordered = dict(sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)))
    head, spans, offset = _read_head(source), {}, 0
    for name, info in ordered.items():
        shape = shapes.get(name, info.shape)
        size = prod(shape) * WIDTH[info.dtype]
        spans[name] = replace(info, file=target, shape=shape, start=offset, stop=offset + size)
        offset += size
    if any(spans[name].shape != info.shape for name, info in ordered.items()):
        head = _new_head(head, spans)
    targets = {
        name: replace(info, start=len(head) + info.start, stop=len(head) + info.stop)
        for name, info in spans.items()
    }
    return Layout(head, ordered, targets)


def _read_head(source: Path) -> bytes:
    with source.open("rb") as file:
        length = int.from_bytes(file.read(_PREFIX), "little")
        file.seek(0, os.SEEK_SET)
        return file.read(_PREFIX + length)


def _new_head(head: bytes, spans: Mapping[str, TensorInfo]) -> bytes:
    """The header with new shapes and offsets, which count from its end; order and metadata stay."""
    header = json.loads(head[_PREFIX:])
    for name, info in spans.items():
        header[name] |= {"shape": list(info.shape), "data_offsets": [info.start, info.stop]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_PREFIX, "little") + text
