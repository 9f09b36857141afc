"""Patches on a live model, several at a time, taken off in any order.

What is attached stands in a table beside the models, which holds them weakly: a model has no
attribute that would be copied, pickled or saved with it, and its entry goes when it does. A copy of
a patched model is an ordinary model with the patched weights.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from weakref import WeakKeyDictionary

from torch import nn

from ..errors import BaseMismatch
from ..format.manifest import BaseRecord
from ..format.patch import Patch
from .change import Change
from .joined import Joined, reading
from .tensor import LiveTensor

Model = TypeVar("Model", bound=nn.Module)


@dataclass(eq=False)
class _Attached:
    """All that is attached to one model."""

    joined: list[Joined] = field(default_factory=list)
    tensors: dict[str, LiveTensor] = field(default_factory=dict)


_attached: WeakKeyDictionary[nn.Module, _Attached] = WeakKeyDictionary()


class Attachment:
    """Patches that were attached to a model together, and how to take them off again."""

    def __init__(self, model: nn.Module, joined: Sequence[Joined]) -> None:
        self.model = model
        self._joined = tuple(joined)

    @property
    def patches(self) -> tuple[Patch, ...]:
        """What was attached."""
        return tuple(one.given for one in self._joined)

    def detach(self, *, force: bool = False) -> None:
        """Take the patches off: each tensor is then as if they had never been attached.

        With the last patch on a tensor its very bits come back. Does nothing the second time.
        Raises BaseMismatch, and changes nothing, if somebody else changed a touched weight
        meanwhile; with `force` that change is given up: the weights get back their type, too, and
        so does another parameter that was put in a touched one's place.

        Raises DigestMismatch if a patch that stays alone on a tensor promised another result
        (not with `force`), NonFinite if those that stay do not fit the type without this one, and
        ManifestError, SizeMismatch or DigestMismatch if a large delta of theirs cannot be read any
        more. Then nothing was changed; with `force` all patches were taken off, as by `detach_all`.
        """
        found = _attached.get(self.model)
        if found is None or not set(self._joined) & set(found.joined):
            return
        left = [one for one in found.joined if one not in self._joined]
        if force:
            self._force(left, found)
            return
        with reading():
            change = Change(self.model, left, self._joined, found.tensors)
            change.require_unchanged()
            change.carry_out()
        _keep(self.model, left, change.tensors)

    def _force(self, left: list[Joined], found: _Attached) -> None:
        try:
            with reading():
                change = Change(self.model, left, self._joined, found.tensors)
                lost = change.force()
        except BaseException as error:
            error.add_note("all patches were taken off the model")
            detach_all(self.model)
            raise
        _keep(self.model, left, change.tensors)
        _require_none_lost(lost)


def attach(model: nn.Module, *patches: Patch | Path | str) -> Attachment:
    """Change the touched tensors of `model` until the attachment is detached.

    A path is the folder of a patch.

    The weights are those that `apply` writes for all patches that are attached then, bit for bit
    and rounded once, in whatever order they came. A model that was loaded in a wider type than its
    checkpoint has gets the same values in that type. Parameters stay the same objects, on their
    device; the arithmetic is done on the CPU. Not to be called by several threads for one model.

    Raises BaseMismatch, ConflictFound, NonFinite, TooBig, ManifestError, ShapeMismatch,
    DigestMismatch, Unsupported, and what reading the patches raises; then nothing was changed.
    """
    opened = [as_patch(patch) for patch in patches]
    return attach_as(model, [(patch, patch.manifest.bases) for patch in opened])


def as_patch(patch: Patch | Path | str) -> Patch:
    """The patch itself, or the one in a folder; raises as `Patch.open`."""
    return patch if isinstance(patch, Patch) else Patch.open(patch)


def attach_as(
    model: nn.Module, patches: Sequence[tuple[Patch, Sequence[BaseRecord]]]
) -> Attachment:
    """Attach patches as made for some of their bases; raises as `attach`."""
    with reading():
        new = [Joined.of(patch, bases) for patch, bases in patches]
        found = _attached.get(model, _Attached())
        together = [*found.joined, *new]
        change = Change(model, together, new, found.tensors)
        change.require_unchanged()
        change.check_norms(one.patch for one in new)
        change.carry_out()
    _keep(model, together, change.tensors)
    return Attachment(model, new)


def detach_all(model: nn.Module) -> None:
    """Take all patches off a model, whatever was done to its weights, and without reading a file.

    Every touched tensor gets back its original bits and their type, also where another parameter
    was put in its place; attachments have nothing to detach any more. Raises BaseMismatch if the
    model has no place for some of them; all others are back then.
    """
    found = _attached.get(model)
    if found is None:
        return
    tensors = found.tensors.values()
    lost = [tensor.name for tensor in tensors if not tensor.force(model, tensor.original)]
    _keep(model, [], {})
    _require_none_lost(lost)


@contextmanager
def patched(model: Model, *patches: Patch | Path | str) -> Iterator[Model]:
    """Change the touched tensors of `model` for the length of a `with` block.

    As `attach`, and raises the same. On leaving, the very bits that were there come back, whatever
    was done to the weights meanwhile, also if the model's type was changed or a parameter replaced;
    it ends with `detach(force=True)`, and raises what that does.
    """
    attachment = attach(model, *patches)
    try:
        yield model
    finally:
        attachment.detach(force=True)


def _keep(model: nn.Module, joined: list[Joined], tensors: dict[str, LiveTensor]) -> None:
    if joined:
        _attached[model] = _Attached(joined, tensors)
    else:
        _attached.pop(model, None)


def _require_none_lost(names: Sequence[str]) -> None:
    if names:
        raise BaseMismatch(
            f"{names[0]} is no parameter of the model any more, so its bits could not come back",
            why="it is computed from others now, as a parametrisation does; all other weights are "
            "back",
            hint="load the base again",
        )
