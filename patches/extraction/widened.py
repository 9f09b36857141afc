"""MLPs that grew: which neurons were added to which layer, and what is only padding.

All layers of a checkpoint have MLPs of one size. A layer to which fewer neurons were added than to
another ends in neurons whose weights are all zero, and these come by themselves when a patch is
applied. So they are left out of it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.neurons import MlpLayer, inner_size, mlp_layers
from ..errors import InputError, ShapeMismatch
from ..operations.base import Array, Operation
from ..operations.widen import Widen
from ..stored_array import Part, StoredArray, blocks
from .pairing import told

_BLOCK_ELEMENTS = 1 << 20

Bits = Callable[[str], Part]
"""The bits of a tensor of the edited model, by the base's name for it."""


def grown(
    base: Checkpoint, shapes: Mapping[str, tuple[int, ...]], bits: Bits
) -> dict[str, tuple[int, int]]:
    """For each tensor of the MLPs the axis of its neurons and how many remain without padding.

    `shapes` are those of the edited model. {} if no tensor has another shape. Raises ShapeMismatch
    if others grew than the MLPs, or not all of them alike.
    """
    other = sorted(name for name, shape in shapes.items() if shape != base.tensors[name].shape)
    if not other:
        return {}
    try:
        layers = mlp_layers(base)
    except InputError as error:
        raise _other_shapes(base, shapes, other, error.message) from None
    axes = {name: axis for layer in layers for name, axis in layer.axes.items()}
    if odd := [name for name in other if name not in axes]:
        raise _other_shapes(base, shapes, odd, "only the MLPs of a model may have grown")
    size = inner_size(base, layers)
    lengths = {_along(base, name, shapes, axis) for name, axis in axes.items()}
    if len(lengths) > 1 or min(lengths) < size:
        raise _other_shapes(base, shapes, other, "not all MLPs grew by the same number of neurons")
    counts = [_used(layer, bits, size) for layer in layers]
    # As many as the largest layer has, its last ones may be zeros or not.
    if max(counts) < (most := min(lengths)):
        counts[counts.index(max(counts))] = most
    return {
        name: (axis, count)
        for layer, count in zip(layers, counts, strict=True)
        for name, axis in layer.axes.items()
    }


def without_padding(part: Part, axis: int, length: int) -> Part:
    """A tensor up to `length` along `axis`; what begins it in its file stays there."""
    if part.shape[axis] == length:
        return part
    if axis == 0:
        return _first_rows(part, length)
    return np.ascontiguousarray(part[:][:, :length])


def split(part: Part, shape: Sequence[int]) -> tuple[Part, Widen | None]:
    """A tensor that grew from `shape` along one axis: what it was then, and what was added."""
    if part.shape == (shape := tuple(shape)):
        return part, None
    axis = next(place for place, length in enumerate(shape) if part.shape[place] != length)
    if axis == 0:
        return _first_rows(part, shape[0]), Widen.read({"rows": part[shape[0] :]}, shape)
    whole = part[:]
    old, new = whole[:, : shape[1]], whole[:, shape[1] :]
    added = Widen.read({"columns": np.ascontiguousarray(new)}, shape)
    return np.ascontiguousarray(old), added


def with_added(operations: Sequence[Operation], added: Widen | None) -> list[Operation]:
    """Operations on what a tensor was, and the neurons added to it."""
    return [*operations, *([added] if added else [])]


def _first_rows(part: Part, count: int) -> Part:
    if isinstance(part, StoredArray):
        return StoredArray(part.path, part.dtype, (count, *part.shape[1:]), part.start)
    return part[:count]


def _along(base: Checkpoint, name: str, shapes: Mapping[str, tuple[int, ...]], axis: int) -> int:
    """The new length along the axis of the neurons; raises ShapeMismatch if another one grew."""
    before, after = base.tensors[name].shape, shapes.get(name, ())
    alike = len(before) == len(after) and all(
        one == other
        for place, (one, other) in enumerate(zip(before, after, strict=True))
        if place != axis
    )
    if not alike:
        raise _other_shapes(base, shapes, [name], "only the number of neurons may differ")
    return after[axis]


def _used(layer: MlpLayer, bits: Bits, size: int) -> int:
    """The neurons of a layer up to the last one that has a weight other than zero, bit for bit."""
    used = size
    for name, axis in layer.axes.items():
        part = bits(name)
        done = 0
        for rows in blocks(part, _BLOCK_ELEMENTS):
            if axis == 0:
                used = max(used, done + _last(rows.reshape(len(rows), -1)))
            else:
                used = max(used, _last(rows.T))
            done += len(rows)
    return used


def _last(slices: Array) -> int:
    """One more than the place of the last slice with a bit set."""
    raw = slices.view(f"<u{slices.dtype.itemsize}")
    places = np.flatnonzero(raw.any(axis=1))
    return int(places[-1]) + 1 if len(places) else 0


def _other_shapes(
    base: Checkpoint, shapes: Mapping[str, tuple[int, ...]], names: Sequence[str], why: str
) -> ShapeMismatch:
    name = names[0]
    found = list(shapes.get(name, ()))
    return ShapeMismatch(
        f"the edited model has tensors of other shapes than {base.id}: {told(names)}",
        why=f"{name} is {found} where the base has {list(base.tensors[name].shape)}; {why}",
        hint="a patch changes weights in place or adds neurons to MLPs; give the base that the "
        "edited model was made from",
    )
