"""Weight files written into a new folder: most bytes copied in the kernel, some tensors computed.

All of it is one list of small pieces of work, done by several threads in the order of the files, so
that memory is bounded by a few blocks and every core is used whatever the number of tensors.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path

from ..arithmetic.parallel import ordered
from ..checkpoints.checkpoint_files import TensorInfo
from ..errors import SizeMismatch
from ..operations.base import Array
from ..progress import Progress
from ..stored_array import raw_bytes
from ..summation import PatchedTensor
from . import cloning
from .carrying import mode_of
from .layout import Layout, plan_layout

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL


@dataclass(frozen=True)
class _Copy:
    """`count` bytes to copy from `start` in one file to `place` in another."""

    source: int
    target: int
    start: int
    place: int
    count: int

    def run(self) -> None:
        cloning.copy_range(self.source, self.target, self.count, start=self.start, place=self.place)
        cloning.start_writing(self.target, self.place, self.count)


@dataclass(frozen=True)
class _Block:
    """A block of a tensor to compute, and to write as `count` bytes to `place`."""

    name: str
    tensor: PatchedTensor
    first_row: int
    target: int
    place: int
    count: int

    def run(self) -> Array:
        bits = self.tensor.block(self.first_row)
        _write_at(self.target, bits, self.place)
        cloning.start_writing(self.target, self.place, self.count)
        return bits


Work = _Copy | _Block


def write_weights(
    files: Sequence[Path],
    folder: Path,
    tensors: Mapping[str, TensorInfo],
    rewrites: Mapping[str, PatchedTensor],
    *,
    link: bool,
    progress: Progress,
) -> dict[str, str]:
    """Write a copy of each weight file into `folder`, with the tensors of `rewrites` as they say.

    `tensors` are all that lie in `files`. Files without such a tensor are reflinked, hard-linked if
    `link` allows it, or copied. Gives the sha256 of each tensor that was written. Raises NonFinite,
    SizeMismatch.
    """
    with ExitStack() as open_files, _cut_short():
        work: list[Work] = []
        contents: dict[Path, dict[str, TensorInfo]] = {file: {} for file in files}
        for name, info in tensors.items():
            contents[info.file][name] = info
        for file, own in contents.items():
            computed = {name: rewrites[name] for name in own if name in rewrites}
            shapes = {name: tensor.shape for name, tensor in computed.items()}
            if not computed and link and cloning.hard_link(file, folder / file.name):
                continue
            layout = plan_layout(file, folder / file.name, own, shapes)
            source = _opened(open_files, file, os.O_RDONLY)
            target = _opened(open_files, folder / file.name, _NEW, mode_of(file))
            work += _work_on(layout, computed, source, target)
        return _done(work, progress)


def _work_on(
    layout: Layout, computed: Mapping[str, PatchedTensor], source: int, target: int
) -> list[Work]:
    shared = layout.is_unchanged and cloning.reflink(source, target)
    work: list[Work] = []
    if not shared:
        _reserve(target, layout.size)
        os.pwrite(target, layout.header, 0)
    for name, info in layout.targets.items():
        if name in computed:
            work += _blocks(name, computed[name], target, info)
        elif not shared:
            _append_copy(work, source, target, layout.sources[name].start, info)
    return [piece for each in work for piece in _pieces(each)]


def _blocks(name: str, tensor: PatchedTensor, target: int, info: TensorInfo) -> list[Work]:
    row = prod(tensor.shape[1:]) * tensor.part.dtype.itemsize
    return [
        _Block(name, tensor, first, target, info.start + first * row, (stop - first) * row)
        for first, stop in pairwise([*tensor.starts(), tensor.shape[0]])
    ]


def _append_copy(work: list[Work], source: int, target: int, start: int, info: TensorInfo) -> None:
    """Add a span to copy, to the last one if it follows on it."""
    last = work[-1] if work else None
    count = info.stop - info.start
    if (
        isinstance(last, _Copy)
        and last.start + last.count == start
        and last.place + last.count == info.start
    ):
        work[-1] = _Copy(source, target, last.start, last.place, last.count + count)
    elif count:
        work.append(_Copy(source, target, start, info.start, count))


def _pieces(work: Work) -> Iterator[Work]:
    """A long copy as several, which threads can share."""
    if isinstance(work, _Block):
        yield work
        return
    for done in range(0, work.count, cloning.CHUNK):
        count = min(cloning.CHUNK, work.count - done)
        yield _Copy(work.source, work.target, work.start + done, work.place + done, count)


def _done(work: Sequence[Work], progress: Progress) -> dict[str, str]:
    """Do all the work; gives the sha256 of each tensor that was computed."""
    digests = {each.name: hashlib.sha256() for each in work if isinstance(each, _Block)}
    total = sum(each.count for each in work)
    written = 0
    progress("writing", written, total)
    # Closed here, also on an error, so that no thread writes any more when the files are closed.
    with closing(ordered(_run, work)) as results:
        for each, bits in zip(work, results, strict=True):
            if isinstance(each, _Block) and bits is not None:
                digests[each.name].update(raw_bytes(bits))
            written += each.count
            progress("writing", written, total)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _run(work: Work) -> Array | None:
    return work.run()


def _write_at(file: int, bits: Array, place: int) -> None:
    view = raw_bytes(bits)
    while len(view):
        count = os.pwrite(file, view, place)
        view, place = view[count:], place + count


def _reserve(file: int, size: int) -> None:
    """Take the space at once, so that a disk that is too full is noticed first."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)


def _opened(stack: ExitStack, path: Path, flags: int, mode: int = 0) -> int:
    file = os.open(path, flags | os.O_CLOEXEC, mode)
    stack.callback(os.close, file)
    return file


@contextmanager
def _cut_short() -> Iterator[None]:
    """Turn the word of `cloning` for a file cut short into ours."""
    try:
        yield
    except EOFError as error:
        raise SizeMismatch(str(error), hint="let nothing write into the base") from None
