"""The same requests made again: the same method, hyperparameters and seed on another base."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

from .. import plugins
from ..checkpoints.models import EditableModel
from ..draft import Origin
from ..errors import BaseMismatch, RequestRefused
from ..format.manifest import Manifest, MethodRecord
from ..format.patch import Draft, Patch
from ..make import Recipe, make
from ..methods.base import Resources
from ..progress import Progress, silent
from .carry import REBASE, require_room

_OTHERWISE = {
    "extract": (
        "it is the difference of two checkpoints, which no request can make",
        "edit the new base in the same way, and use weightpatch extract",
    ),
    "peft": (
        "the adapter was trained elsewhere",
        "train it on the new base, and use weightpatch import",
    ),
    "compose": (
        "it is made of other versions",
        "rebase its members, and use weightpatch compose",
    ),
}


@dataclass(frozen=True)
class Again:
    """How to make a patch again: the recipe, and what could not be taken over, by name.

    `left` are hyperparameters with the value that they had: on the new base they have another, its
    default, or are not known to the method any more.
    """

    recipe: Recipe
    left: Mapping[str, Any]


def is_remakeable(method: MethodRecord) -> bool:
    """Whether a patch was made from its requests, by a method that may be installed or not."""
    return method.name not in _OTHERWISE


def require_remakeable(method: MethodRecord) -> type:
    """The method that made a patch, as it is installed here.

    Raises RequestRefused if it was not made from its requests, PluginMissing.
    """
    if not is_remakeable(method):
        why, hint = _OTHERWISE[method.name]
        raise RequestRefused(
            f"what was made by {method.name} cannot be made again",
            why=why,
            hint=f"{hint}; or carry the delta over, if it fits: --how carry",
        )
    found: type = plugins.load("methods", method.name)
    return found


def recipe_again(
    patch: Patch,
    model: EditableModel,
    old: EditableModel | None,
    settings: Mapping[str, str],
) -> Again:
    """What `make` needs to do again on `model` what made the patch, with `settings` on top.

    A hyperparameter that has no default but what the model's size and architecture suggest, as the
    layer, is taken over only for a model alike: one of the size of `old`, of which an outline will
    do; if that is not at hand, one that has the tensors of the patch. Raises as
    `require_remakeable`.
    """
    record = patch.manifest.method
    method = require_remakeable(record)
    known = {each.name: each for each in fields(method.Hyperparameters)}  # type: ignore[attr-defined]
    alike = _is_alike(patch, model, old)
    taken: dict[str, str] = {}
    left: dict[str, Any] = {}
    defaults = method.defaults(model)  # type: ignore[attr-defined]
    for name, value in record.hyperparameters.items():
        if name in settings:
            continue
        if name in known and (alike or not _is_by_model(known[name])):
            taken[name] = _typed(value)
        elif name not in known or _typed(getattr(defaults, name)) != _typed(value):
            left[name] = value
    return Again(Recipe(record.name, {**taken, **settings}, record.seed or 0), left)


def make_again(
    folder: Path,
    patch: Patch,
    model: EditableModel,
    again: Again,
    origin: Origin,
    resources: Resources,
    *,
    progress: Progress = silent,
) -> Draft:
    """Carry out the requests of `patch` on `model`, and write the draft into the empty `folder`.

    Hyperparameters come from a manifest, and are checked as if they had been typed. Raises as
    `make`.
    """
    origin = replace(origin, parents=(patch.digest,))
    draft = make(folder, model, patch.requests, again.recipe, origin, resources, progress=progress)
    record = {"how": "again", "from": patch.digest, "left": dict(again.left)}
    method = draft.manifest.method
    method = replace(method, sampled={**method.sampled, REBASE: record})
    manifest = replace(draft.manifest, method=method)
    return Draft(Manifest.from_bytes(manifest.to_bytes()), draft.folder)


def _is_alike(patch: Patch, model: EditableModel, old: EditableModel | None) -> bool:
    if old is not None:
        return _size(model) == _size(old)
    try:
        require_room(patch, model.checkpoint)
    except BaseMismatch:
        return False
    return True


def _size(model: EditableModel) -> tuple[str, int, int]:
    config = model.model.config
    return config.model_type, model.layer_count, config.hidden_size


def _is_by_model(field: Any) -> bool:  # noqa: ANN401 - dataclasses.Field of any type
    return field.default is MISSING and field.default_factory is MISSING


def _typed(value: object) -> str:
    """A value from a manifest as a user would type it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)
