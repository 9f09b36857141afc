"""Give a method what it needs beside the model, and measure what making an edit takes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..patches.checkpoints.models import EditableModel
from ..patches.evaluation.base import Evaluation
from ..patches.evaluation.efficiency import efficiency
from ..patches.evaluation.environment import environment
from ..patches.format.patch import Draft
from ..patches.methods.base import Resources
from ..patches.requests import EditRequest
from .app import App
from .commands.method_train import found_editor
from .measuring import Meter, MeteredStatistics, cost


def made(
    app: App,
    model: EditableModel,
    method: str,
    requests: Sequence[EditRequest],
    options: Mapping[str, Any],
    make: Callable[[Resources], Draft],
) -> tuple[Draft, Evaluation]:
    """What `make` makes of the statistics and the editor that `options` name, and what that took.

    Statistics are kept in the cache; what was done once for a base is told apart.
    """
    statistics = MeteredStatistics(app.config.cache / "statistics", options["statistics"])
    editor = found_editor(app, method, options["editor"], model.checkpoint)
    meter = Meter()
    with meter.running():
        draft = make(Resources(statistics, editor))
    took = cost(meter, statistics.meter, model.device)
    return draft, efficiency(took, requests, environment(model.model))
