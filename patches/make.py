"""Requests, a method and a base give a draft: the whole way from an intention to a patch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from . import plugins
from .checkpoints.models import EditableModel
from .draft import Origin, own_terms, write_draft
from .evaluation.environment import device_name
from .format.manifest import MethodRecord
from .format.patch import Draft
from .methods.base import Edit, Resources
from .methods.hyperparameters import hyperparameters_from
from .progress import Progress, silent
from .requests import EditRequest
from .tools import versions


@dataclass(frozen=True)
class Recipe:
    """Which method, with which settings (`name=value` as typed by a user) and seed."""

    method: str
    settings: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0


def make(
    folder: Path,
    model: EditableModel,
    requests: Sequence[EditRequest],
    recipe: Recipe,
    origin: Origin,
    resources: Resources,
    *,
    progress: Progress = silent,
) -> Draft:
    """Edit, snap, and write the draft into the empty `folder`; the model is left as it was.

    Raises PluginMissing, RequestRefused, NameRefused, NonFinite, Unsupported.
    """
    method = plugins.load("methods", recipe.method)()
    hyperparameters = hyperparameters_from(method.defaults(model), recipe.settings)
    edit = method.edit(
        model,
        requests,
        hyperparameters,
        seed=recipe.seed,
        resources=resources,
        progress=progress,
    )
    record = MethodRecord(
        name=method.name,
        version=method.version,
        hyperparameters=asdict(hyperparameters),
        seed=recipe.seed,
        sampled={**edit.sampled, **_steps(edit)},
        statistics=edit.statistics,
        device=_place(model.device),
        tools=versions(["numpy", "torch", "transformers", *method.tools]),
    )
    return write_draft(
        folder,
        model.checkpoint,
        own_terms(edit.operations),
        edit.auxiliary,
        requests,
        record,
        origin,
    )


def _steps(edit: Edit) -> dict[str, Any]:
    """The batches of a sequence, so that the model can be looked at as it was after each."""
    return {"steps": [asdict(step) for step in edit.steps]} if edit.steps else {}


def _place(device: torch.device) -> str:
    """Where an edit was made: on another device or number of threads, sums round otherwise."""
    if device.type != "cpu":
        return device_name(device)
    count = torch.get_num_threads()
    return f"cpu, {count} thread{'s' if count > 1 else ''}"
