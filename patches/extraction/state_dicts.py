"""What anything made of a model in memory, as a patch of the checkpoint that it was loaded from.

The delta is one of the checkpoint's own weights, whatever type the model was loaded in: it leads to
the edited weights rounded to the checkpoint's type, as saving them in that type would round them.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arithmetic import dtypes
from ..checkpoints.checkpoint import Checkpoint, TensorInfo
from ..draft import Origin
from ..errors import BaseMismatch, TargetExists
from ..format.patch import Draft
from ..operations.base import Array
from ..progress import Progress, silent
from ..requests import EditRequest
from ..tools import versions
from .edited import is_untouched, untied
from .extract import METHOD, draft_of, method_record
from .pairing import own_names, pairs
from .reaching import raw
from .tensors import HOLDS, plain, require_plain, rounded, same_values

if TYPE_CHECKING:
    from torch import nn

StateDict = Mapping[str, Any]
"""Tensors of PyTorch, on any device, or of NumPy, by name."""

LABEL = "the edited model"


def draft_from(
    before: StateDict | None,
    after: StateDict,
    folder: Path | str,
    base: Checkpoint | Path | str,
    requests: Iterable[EditRequest | Mapping[str, Any]],
    origin: Origin,
    *,
    made_by: str = "",
    whole: bool = False,
    progress: Progress = silent,
) -> Draft:
    """Write the patch that makes `after` of the base into `folder`, which is empty or not there.

    `before` is what the base was loaded as, to be sure that it was this base; None to do without.
    Tensors that `after` lacks are unchanged, unless the `whole` model is given. Nothing that is
    given is changed. Raises BaseMismatch if `before` is another model, or a type is too narrow for
    the base; TargetExists, and as `extract`.
    """
    if not isinstance(base, Checkpoint):
        base = Checkpoint.open(base)
    base.require_unquantised()
    edited = EditedState(base, after, whole=whole)
    if before is not None:
        _require_base(EditedState(base, before, label="the model before the edit"))
    asked = [
        one if isinstance(one, EditRequest) else EditRequest.parse(one, number=number)
        for number, one in enumerate(requests, 1)
    ]
    record = method_record(METHOD, {"made_by": made_by} if made_by else {}, versions(["numpy"]))
    place = _empty(Path(folder))
    with ExitStack() as failed:
        failed.callback(_clear, place)
        draft = draft_of(base, edited, place, asked, record, origin, progress)
        draft.as_patch()
        failed.pop_all()
    return draft


def draft_from_models(
    before: "nn.Module | None",
    after: "nn.Module",
    folder: Path | str,
    base: Checkpoint | Path | str,
    requests: Iterable[EditRequest | Mapping[str, Any]],
    origin: Origin,
    made_by: str = "",
) -> Draft:
    """As `draft_from`, of whole models; raises Unsupported for weights that are not in memory."""
    if not isinstance(base, Checkpoint):
        base = Checkpoint.open(base)
    first = None if before is None else parameters_of(before, base)
    second = parameters_of(after, base)
    return draft_from(first, second, folder, base, requests, origin, made_by=made_by, whole=True)


def parameters_of(model: "nn.Module", base: Checkpoint) -> StateDict:
    """The weights of a model, by the base's names where it has them.

    Raises Unsupported for a parameter that is not one plain tensor in memory.
    """
    from ..live.parameters import Parameters

    parameters = Parameters(model)
    found: dict[str, Any] = {
        name: parameters.find(name) for name in own_names(base) if name in parameters
    }
    known = {id(parameter) for parameter in found.values()}
    buffers = dict(model.named_buffers())
    found.update({name: buffers[name] for name in own_names(base) if name in buffers})
    others = model.named_parameters()
    return {**found, **{name: one for name, one in others if id(one) not in known}}


class EditedState:
    """A state dict beside the base that its model was loaded from.

    What cannot be patched, such as scalars and stored positions, counts as unchanged. Raises
    CheckpointRefused for tensors that the base does not have, Unsupported for those that are none.
    """

    def __init__(
        self, base: Checkpoint, state: StateDict, *, label: str = LABEL, whole: bool = False
    ) -> None:
        self.label = label
        self._base = base
        self._state = state
        names, copies = pairs(base, state, {}, label, whole=whole)
        self._names = {
            name: other for name, other in names.items() if _is_weight(base.tensors[name])
        }
        for name in self._names.values():
            require_plain(state[name], name)
        self.shapes = {name: tuple(state[other].shape) for name, other in self._names.items()}
        for copy, like in copies:
            require_plain(state[copy], copy)
            if not same_values(state[copy], state[like]):
                raise untied(label, copy, like)

    def differs(self, name: str) -> bool:
        """Whether a tensor is not what the base has, rounded to the base's type, or to its own."""
        stored, dtype = self._base.read(name), self._base.tensors[name].dtype
        values, own = plain(self._state[self._names[name]])
        if dtype in HOLDS[own]:
            return not np.array_equal(raw(rounded(values, own, dtype, name)), raw(stored))
        if own not in dtypes.STORAGE:
            return True
        return not np.array_equal(raw(rounded(stored, dtype, own, name)), raw(values))

    def part(self, name: str) -> Array:
        """The bits rounded to the base's type; raises BaseMismatch if that one is wider."""
        dtype = self._base.tensors[name].dtype
        values, own = plain(self._state[self._names[name]])
        if dtype not in HOLDS[own]:
            raise BaseMismatch(
                f"{name} of {self.label} is {own}, and the base has {dtype}",
                why=f"{own} does not hold what the base's weights are, so what was lost on loading "
                "would count as an edit",
                hint="load the model in its checkpoint's own type, or in float32, and edit that",
            )
        return rounded(values, own, dtype, name)

    def again(self) -> "EditedState | None":
        """The same model, None if no file of its base was touched since."""
        return None if is_untouched(self._base) else self

    def names(self) -> Sequence[str]:
        """The base's names of all tensors that are here."""
        return sorted(self._names)


def _require_base(before: EditedState) -> None:
    for name in before.names():
        if before.differs(name):
            raise BaseMismatch(
                f"{name} of {before.label} is not the base's",
                why="the model was loaded from another checkpoint, or had been changed already, so "
                "the difference is not what was made of this base",
                hint="give the checkpoint that the model was loaded from",
            )


def _is_weight(info: TensorInfo) -> bool:
    return info.dtype in dtypes.STORAGE and bool(info.shape)


def _empty(folder: Path) -> Path:
    """The folder, made if it is not there; raises TargetExists if something is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise TargetExists(f"{folder} is not empty", hint="give a new folder")
    return folder


def _clear(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
