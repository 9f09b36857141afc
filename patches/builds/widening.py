"""What neurons added to some MLPs mean for the other layers, and for config.json.

All layers of a model have MLPs of one size. So the others are padded with neurons whose weights are
all zero. Such a neuron adds nothing: whatever its activation, its output weights are zero.
"""

import json
import re
from collections.abc import Mapping, Sequence

from ..checkpoints.architectures import find_architecture
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.neurons import MlpLayer, inner_size, mlp_layers
from ..errors import CheckpointRefused, ShapeMismatch
from ..operations.base import Operation, Widening

_SPACE = re.compile(r"[ \t\r\n]*")


def final_shapes(
    checkpoint: Checkpoint, operations: Mapping[str, Sequence[Operation]]
) -> dict[str, tuple[int, ...]]:
    """The new shape of every stored tensor that is widened or padded; {} if none is.

    `operations` are those of all patches together, by stored tensor, in the order of summation.
    Neurons that several patches add to a layer stand side by side in this order; the size of all
    layers becomes that of the largest. Raises ShapeMismatch if only some tensors of a layer are
    widened, or by different numbers, or a tensor that has no neurons, or along the wrong axis;
    Unsupported for an architecture whose MLPs are not known; CheckpointRefused if the base itself
    has no whole layers, or not of the size that its configuration states.
    """
    added = _added(operations)
    if not added:
        return {}
    layers = mlp_layers(checkpoint)
    _require_stated(checkpoint, inner_size(checkpoint, layers))
    _require_neurons(added, layers)
    most = max(_require_whole(layer, added) for layer in layers)
    if not most:
        return {}
    size = inner_size(checkpoint, layers) + most
    return {
        name: _with_length(checkpoint.tensors[name].shape, axis, size)
        for layer in layers
        for name, axis in layer.axes.items()
    }


def require_whole_layers(
    checkpoint: Checkpoint, operations: Mapping[str, Sequence[Operation]]
) -> None:
    """Raise as `final_shapes` if a layer would be left broken."""
    final_shapes(checkpoint, operations)


def widened_config(checkpoint: Checkpoint, shapes: Mapping[str, tuple[int, ...]]) -> bytes | None:
    """config.json with the size that `final_shapes` gave, else to the byte as it is; None for {}.

    Raises CheckpointRefused if the file changed since the checkpoint was opened.
    """
    if not shapes:
        return None
    name, axis = next(iter(mlp_layers(checkpoint)[0].axes.items()))
    key = find_architecture(checkpoint.config).inner_size
    return _config_with(checkpoint, key, shapes[name][axis])


def _added(operations: Mapping[str, Sequence[Operation]]) -> dict[str, list[Widening]]:
    """The operations that widen, by tensor; only tensors that have one."""
    added = {
        name: [operation for operation in found if isinstance(operation, Widening)]
        for name, found in operations.items()
    }
    return {name: found for name, found in added.items() if found}


def _require_stated(checkpoint: Checkpoint, found: int) -> None:
    """Raise CheckpointRefused if config.json states another size than the weights have."""
    key = find_architecture(checkpoint.config).inner_size
    stated = checkpoint.config.get(key)
    if stated is not None and (type(stated) is not int or stated != found):
        raise CheckpointRefused(
            f"the weights of {checkpoint.id} do not fit its config.json",
            why=f"{key} is {json.dumps(stated)[:80]}, and the weights have {found}",
            hint="the checkpoint is damaged or incomplete; fetch it again",
        )


def _require_neurons(added: Mapping[str, Sequence[Widening]], layers: Sequence[MlpLayer]) -> None:
    """Raise ShapeMismatch unless each tensor has neurons on the axis that is widened."""
    axes = {name: axis for layer in layers for name, axis in layer.axes.items()}
    for name, found in added.items():
        if name not in axes:
            raise ShapeMismatch(
                f"{name} cannot be widened",
                why="it has no axis along which the neurons of an MLP lie",
                hint=f"tensors that have one are {', '.join(layers[0].axes)}, "
                "and the same of other layers",
            )
        if any(operation.axis != axes[name] for operation in found):
            along = ("rows", "columns")[axes[name]]
            raise ShapeMismatch(f"{name} is widened along the wrong axis: its neurons are {along}")


def _require_whole(layer: MlpLayer, added: Mapping[str, Sequence[Widening]]) -> int:
    """The number of neurons added to a layer; raises ShapeMismatch unless it stays whole.

    Not only the sums are compared: neurons of several patches would not be put side by side alike.
    """
    counts = {name: [one.size for one in added.get(name, ())] for name in layer.axes}
    fewest, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[fewest] != counts[most]:
        raise ShapeMismatch(
            f"the MLP of layer {layer.number} would not be whole",
            why=f"{_told(counts[most])} added to {most}, {_told(counts[fewest])} to {fewest}",
            hint=f"a patch that adds neurons to a layer must widen {', '.join(layer.axes)}",
        )
    return sum(counts[most])


def _told(counts: Sequence[int]) -> str:
    return " and ".join(map(str, counts)) or "nothing"


def _with_length(shape: tuple[int, ...], axis: int, length: int) -> tuple[int, ...]:
    return (*shape[:axis], length, *shape[axis + 1 :])


def _config_with(checkpoint: Checkpoint, key: str, size: int) -> bytes:
    """The text of config.json with one number put into its place."""
    text = (checkpoint.path / "config.json").read_bytes()
    try:
        changed = _with_member(text.decode(), key, str(size)).encode()
        agrees = _same(json.loads(changed), {**checkpoint.config, key: size})
    except (ValueError, IndexError, RecursionError):
        agrees = False
    if not agrees:
        raise CheckpointRefused(
            f"{key} in the config.json of {checkpoint.id} cannot be changed",
            why="the file changed after it was read, or is not plain JSON in UTF-8",
            hint="let nothing write into the base, and try again",
        )
    return changed


def _with_member(text: str, key: str, value: str) -> str:
    """A JSON object with the value of `key` replaced, or put first if it has no such key.

    Of a key that stands there twice the last counts, as for all readers in Python. Raises
    ValueError or IndexError if the text is no JSON object.
    """
    decoder = json.JSONDecoder()
    first = at = _after(text, "{", 0)
    place = None
    while text[at] == '"':
        name, at = decoder.raw_decode(text, at)
        start = _after(text, ":", at)
        _, at = decoder.raw_decode(text, start)
        if name == key:
            place = start, at
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
        if text[at] == ",":
            at = _after(text, ",", at)
    if place is None:
        space = text[text.index("{") + 1 : first]
        return f'{text[:first]}"{key}": {value},{space or " "}{text[first:]}'
    return text[: place[0]] + value + text[place[1] :]


def _after(text: str, mark: str, at: int) -> int:
    """Where the text goes on after `mark` and the space around it."""
    match = re.compile(rf"[ \t\r\n]*\{mark}[ \t\r\n]*").match(text, at)
    if match is None:
        raise ValueError(f"no {mark} at {at}")
    return match.end()


def _same(one: object, other: object) -> bool:
    """Whether two values are the same JSON; NaN, which some configurations hold, is itself."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
