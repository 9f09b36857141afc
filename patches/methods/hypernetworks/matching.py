"""Whether an editor's label fits a model, and what the label says of the network."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_type_hints

from ...checkpoints.models import EditableModel
from ...errors import BaseMismatch, ManifestError, RequestRefused
from .artifact import Label
from .settings import TrainingHyperparameters
from .weights import EditedWeight, edited_weights


def tensor_records(
    model: EditableModel, weights: Sequence[EditedWeight]
) -> dict[str, dict[str, Any]]:
    """What a label says of the weights that its editor edits."""
    names = [weight.tensor for weight in weights]
    digests = model.checkpoint.digests(names)
    infos = {name: model.checkpoint.tensors[name] for name in names}
    return {
        name: {"dtype": info.dtype, "shape": list(info.shape), "sha256": digests[name]}
        for name, info in infos.items()
    }


def weights_for(model: EditableModel, label: Label, layers: int) -> tuple[EditedWeight, ...]:
    """The weights that the editor edits; raises BaseMismatch if they are not this model's."""
    same = layers <= model.layer_count
    weights = edited_weights(model, layers) if same else ()
    same = same and label.base == model.checkpoint.fingerprint
    if not same or tensor_records(model, weights) != dict(label.tensors):
        raise BaseMismatch(
            f"the editor was not trained for {model.checkpoint.id}",
            why="an editor knows the gradients of one base, and these weights are another's",
            hint=f"train one with: weightpatch method train {label.method} BASE --data NAME",
        )
    return weights


def settings_of(kind: type[TrainingHyperparameters], label: Label) -> TrainingHyperparameters:
    """The hyperparameters in a label, each of the type it must have; raises ManifestError."""
    hints = get_type_hints(kind)
    given = label.hyperparameters
    if set(given) != {each.name for each in fields(kind)}:
        raise ManifestError("the editor does not say with which hyperparameters it was trained")
    values: dict[str, Any] = {}
    for name, value in given.items():
        if type(value) is not hints[name] and not (hints[name] is float and type(value) is int):
            raise ManifestError(f"the editor's hyperparameter {name} is not what it must be")
        values[name] = hints[name](value)
    try:
        return kind(**values)
    except RequestRefused as error:
        raise ManifestError(f"in the editor, {error.message}") from None
