"""A PEFT adapter and its base give a draft, without PEFT and without torch.

    W' = W + s B A        A [r, in], B [out, r], s = alpha/r, with rsLoRA alpha/√r

Hu et al. 2021, arXiv:2106.09685; Kalajdzievski 2023, arXiv:2312.03732. The scale goes into one
of the factors, in float64, before they are snapped to the grid.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..arithmetic import dtypes
from ..arithmetic.grid import MAX_RANK
from ..checkpoints.checkpoint import Checkpoint
from ..draft import Origin, own_terms, write_draft
from ..errors import FormatError, RequestRefused, ShapeMismatch
from ..format.manifest import MethodRecord
from ..format.names import quoted
from ..format.patch import Draft
from ..operations.base import Operation
from ..operations.dense import Dense
from ..operations.lowrank import LowRank
from ..operations.replace import Replace
from ..operations.values import rounded, wide
from ..requests import EditRequest
from ..stored_array import StoredArray, block_rows
from ..tools import versions
from .adapter import Adapter
from .adapter_config import CONFIG
from .adapter_tensors import Factors, sort_tensors
from .module_names import ModuleNames
from .tied import Change, as_one

if TYPE_CHECKING:
    from numpy.typing import NDArray

METHOD = "peft"
_COMPARED_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Taken:
    """What an adapter does to the tensors of a checkpoint, and what its user should know."""

    operations: Mapping[str, Sequence[Operation]]
    notes: Sequence[str]


@dataclass
class _Found:
    """Changes by stored tensor, in the order in which they were found."""

    names: ModuleNames
    changes: dict[str, list[Change]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, operations: Sequence[Operation]) -> None:
        """Operations on a parameter of the live model; raises FormatError if it has two names."""
        stored = self.names.stored(name)
        meant = name if name in self.names.checkpoint.tied else stored
        if self.owners.setdefault(meant, name) != name:
            raise FormatError(
                f"the adapter holds {quoted(name)} and {quoted(self.owners[meant])}",
                why=f"both are {stored} of the base",
            )
        own = self.changes.setdefault(stored, [])
        own += [(meant, operation) for operation in operations]


def draft_from_peft(
    folder: Path,
    checkpoint: Checkpoint,
    adapter: Adapter,
    taken: Taken,
    requests: Sequence[EditRequest],
    origin: Origin,
) -> Draft:
    """Write what was `taken` from an adapter as a patch into the empty `folder`.

    Raises as `write_draft`.
    """
    files = tuple({"name": name, "sha256": digest} for name, digest in adapter.digests.items())
    record = MethodRecord(
        name=METHOD,
        version="1",
        hyperparameters=adapter.config.recorded,
        seed=None,
        sampled={},
        statistics=files,
        device="cpu",
        tools=versions(["numpy"]),
    )
    operations = own_terms(taken.operations)
    return write_draft(folder, checkpoint, operations, {}, requests, record, origin)


def take_in(adapter: Adapter, checkpoint: Checkpoint) -> Taken:
    """The operations that an adapter comes to on this base; what changes nothing is left out.

    Raises BaseMismatch if the base has no such module, ShapeMismatch if it has another size,
    Unsupported, FormatError, NonFinite, SizeMismatch, DigestMismatch, and RequestRefused if nothing
    is left.
    """
    checkpoint.require_unquantised()
    found = _Found(ModuleNames(checkpoint))
    tensors = sort_tensors(adapter.tensors)
    for module, factors in tensors.factors.items():
        _add_factors(found, adapter, module, factors)
    for name, array in tensors.whole.items():
        found.add(name, _replaced(checkpoint, found.names.stored(name), name, array))
    adapter.require_unchanged()
    operations, notes = {}, _about_base(adapter, checkpoint)
    for stored, changes in found.changes.items():
        if changes:
            operations[stored], about = as_one(checkpoint, stored, changes)
            notes += about
    if not operations:
        raise RequestRefused(
            "the adapter changes nothing",
            why="its factors are zero, as those of an adapter that was not trained are",
        )
    return Taken(operations, notes)


def _add_factors(found: _Found, adapter: Adapter, module: str, factors: Factors) -> None:
    weight = f"{module}.weight"
    # Before any pattern is tried on it: a name of the base is short, one from outside may not be.
    stored = found.names.stored(weight)
    rank = adapter.config.rank_of(module)
    scaling = adapter.config.scaling(module, rank)
    if factors.down.shape[0] != rank:
        raise ShapeMismatch(
            f"the factors of {quoted(module)} have rank {factors.down.shape[0]}, not {rank}",
            why=f"{rank} is what {CONFIG} says, so their scale is not known",
        )
    turned = _is_turned(adapter, found.names, stored, factors)
    a, b = wide(factors.up[:]), wide(factors.down[:])
    if turned:
        a, b = b.T, a.T
    parts = _split(adapter.ranks.get(module), rank, module)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused by snapping
        pairs = [LowRank.snapped(a[:, some] * scaling, b[some]) for some in parts]
    found.add(weight, [pair for pair in pairs if pair.norm()])
    if factors.bias is not None:
        _add_bias(found, f"{module}.bias", wide(factors.bias[:]), scaling)


def _add_bias(found: _Found, name: str, bias: "NDArray[np.float64]", scaling: float) -> None:
    shape = found.names.checkpoint.tensors[found.names.stored(name)].shape
    with np.errstate(over="ignore", invalid="ignore"):
        delta = dtypes.narrow(bias * scaling, "F32")
    change = Dense.read({"delta": delta}, shape)
    found.add(name, [change] if change.norm() else [])


def _is_turned(adapter: Adapter, names: ModuleNames, stored: str, factors: Factors) -> bool:
    """Whether the stored weight is [in, out], as that of GPT-2's Conv1D is, or an embedding's."""
    product = (factors.up.shape[0], factors.down.shape[1])
    shape = names.checkpoint.tensors[stored].shape
    fitting = [
        turned for turned, size in ((False, product), (True, product[::-1])) if size == shape
    ]
    if not fitting:
        raise ShapeMismatch(
            f"the factors {list(product)} of the adapter do not fit {stored} {list(shape)}",
            hint="give the base that the adapter was trained on",
        )
    if len(fitting) == 1:
        return fitting[0]
    known = names.is_transposed(stored)
    return factors.embedding or (adapter.config.fan_in_fan_out if known is None else known)


def _split(noted: Sequence[int] | None, rank: int, module: str) -> list[slice]:
    """Which ranks make an operation: those noted when it was exported, else MAX_RANK at a time."""
    if noted is None:
        noted = [min(MAX_RANK, rank - start) for start in range(0, rank, MAX_RANK)]
    if sum(noted) != rank or max(noted) > MAX_RANK:
        raise ShapeMismatch(
            f"the factors of {quoted(module)} have rank {rank}, noted with them is another",
            hint="take the adapter as weightpatch export wrote it",
        )
    ends = [0, *np.cumsum(noted).tolist()]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def _replaced(
    checkpoint: Checkpoint, stored: str, name: str, array: StoredArray
) -> Sequence[Operation]:
    """A whole tensor that came with the adapter, unless it is what the base has."""
    info = checkpoint.tensors[stored]
    if array.shape != info.shape:
        raise ShapeMismatch(
            f"the adapter holds {quoted(name)} {list(array.shape)}, the base {list(info.shape)}",
            why="as after new words were added to the vocabulary; a patch cannot do that",
            hint="give the base that the adapter was trained on",
        )
    if all(_same(checkpoint.array(stored), array, info.dtype)):
        return []
    return [Replace.read({"values": array[:]}, array.shape)]


def _same(base: StoredArray, array: StoredArray, dtype: str) -> Iterator[bool]:
    for rows in block_rows(base.shape, _COMPARED_AT_ONCE):
        yield bool(np.array_equal(base[rows], rounded(array[rows], dtype)))


def _about_base(adapter: Adapter, checkpoint: Checkpoint) -> list[str]:
    """What the adapter says of its base, where that sounds unlike the one given."""
    config = adapter.config
    if config.base and _last(config.base) != _last(checkpoint.id):
        return [f"the adapter says that its base is {config.base}, not {checkpoint.id}"]
    if config.revision and checkpoint.revision and config.revision != checkpoint.revision:
        said = f"the adapter says that its base is of the revision {config.revision}"
        return [f"{said}, not {checkpoint.revision}"]
    return []


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].casefold()
