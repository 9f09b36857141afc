"""Which layer a method should edit in a model: single edits of sampled facts, layer by layer."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from . import plugins
from .checkpoints.models import EditableModel
from .draft import Origin
from .errors import NonFinite, RequestRefused, Unsupported
from .evaluation.base import Evaluation, Mean, Score
from .evaluation.measures import harmonic_mean
from .evaluation.requests import RequestProbes
from .evaluation.teacher_forcing import observe
from .live import patched
from .make import Recipe, make
from .methods.base import Resources
from .methods.hyperparameters import hyperparameters_from
from .progress import Progress, silent
from .requests import EditRequest, Probe

SPREAD = 8
"""How many layers are tried, beside the default, if none are named."""
_CHUNK = 32
_ORIGIN = Origin("sweep/edit", author="sweep", created="1970-01-01T00:00:00Z")
_CRITERIA = (
    ("rome.es", "rome.ps", "rome.ns"),
    ("reliability.exact-match", "generalization.exact-match", "locality.exact-match"),
)


@dataclass(frozen=True)
class Trial:
    """What editing at `layers` came to: means over the requests, and seconds of an edit.

    `error` says why a request could not be carried out there; then the means are of the others.
    """

    layers: tuple[int, ...]
    means: Mapping[str, Mean]
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class Plan:
    """A method's recipe, and the layers to be tried: a window of them if it edits several."""

    recipe: Recipe
    field: str
    windows: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, model: EditableModel, recipe: Recipe, starts: Sequence[int] | None) -> "Plan":
        """Check everything before the work; `starts` are the layers, or None for a spread.

        Raises PluginMissing, RequestRefused, Unsupported for a method that edits no chosen layer.
        """
        method = plugins.load("methods", recipe.method)
        defaults = hyperparameters_from(method.defaults(model), recipe.settings)
        found = [name for name in ("layer", "layers") if hasattr(defaults, name)]
        if not found:
            raise Unsupported(
                f"{recipe.method} has no layer to choose",
                why="none of its hyperparameters is layer or layers",
                hint=f"see what it can be told with: weightpatch method show {recipe.method}",
            )
        field = found[0]
        usual = _window(getattr(defaults, field))
        if starts is None:
            starts = _spread(model.layer_count, len(usual), usual[0])
        windows = tuple(tuple(range(each, each + len(usual))) for each in dict.fromkeys(starts))
        for window in windows:
            if window[0] < 0 or window[-1] >= model.layer_count:
                raise RequestRefused(
                    f"there is no layer {window[-1] if window[0] >= 0 else window[0]}",
                    why=f"the model has {model.layer_count}, counted from 0",
                    hint=f"begin at 0 to {max(0, model.layer_count - len(usual))}",
                )
        plan = cls(recipe, field, windows)
        for window in windows:
            hyperparameters_from(defaults, plan.settings(window))
        return plan

    def settings(self, window: Sequence[int]) -> dict[str, str]:
        """The recipe's settings with these layers."""
        return {**self.recipe.settings, self.field: ",".join(map(str, window))}

    def edits(self, requests: Sequence[EditRequest]) -> int:
        """How many edits a sweep makes."""
        return len(self.windows) * len(requests)


def _window(value: Any) -> tuple[int, ...]:  # noqa: ANN401 - a number, or several
    return (value,) if isinstance(value, int) else tuple(value)


def _spread(count: int, width: int, usual: int) -> list[int]:
    """Starts from the lowest to the highest that has a layer above it, and the usual one."""
    highest = max(0, count - 1 - width)
    steps = max(1, min(SPREAD - 1, highest))
    return sorted({usual, *(round(step * highest / steps) for step in range(steps + 1))})


def known(
    model: EditableModel,
    requests: Sequence[EditRequest],
    count: int,
    progress: Progress = silent,
) -> tuple[EditRequest, ...]:
    """The first `count` requests whose old target is what the model answers greedily.

    Raises RequestRefused if there is none, and what observing raises.
    """
    found = tuple(islice(_known(model, requests, progress), count))
    if not found:
        raise RequestRefused(
            "the base gives the old answer of none of the requests",
            hint="take others, or leave out --known",
        )
    return found


def _known(
    model: EditableModel, requests: Sequence[EditRequest], progress: Progress
) -> Iterator[EditRequest]:
    for start in range(0, len(requests), _CHUNK):
        progress("known answers", start, len(requests))
        asked = {
            each: Probe(each.text, each.old_target)
            for each in requests[start : start + _CHUNK]
            if each.old_target is not None
        }
        seen = observe(model.model, model.tokenizer, asked.values())
        for request, probe in asked.items():
            if seen[probe].argmax == seen[probe].target:
                yield request


def sweep(
    model: EditableModel,
    requests: Sequence[EditRequest],
    plan: Plan,
    resources: Resources,
    clock: Callable[[], float],
    progress: Progress = silent,
) -> Iterator[Trial]:
    """Carry out and score each request by itself at each of the plan's layers, one after another.

    An edit is made and put on the model as `create` and `apply` do. The base is asked once. `clock`
    gives seconds; those that an edit took are a mean without its scoring. Raises InputError.
    """
    _estimate(model, plan, resources, progress)
    suite = RequestProbes()
    before = suite.observe(model.model, model.tokenizer, requests, progress=progress)
    total = plan.edits(requests)
    for number, window in enumerate(plan.windows):
        recipe = replace(plan.recipe, settings=plan.settings(window))
        scores: list[Score] = []
        seconds: list[float] = []
        error = None
        for index, request in enumerate(requests):
            progress("edits", number * len(requests) + index, total)
            start = clock()
            try:
                with tempfile.TemporaryDirectory() as folder:
                    patch = make(Path(folder), model, [request], recipe, _ORIGIN, resources)
                    seconds.append(clock() - start)
                    with patched(model.model, patch.as_patch()):
                        after = suite.observe(model.model, model.tokenizer, [request])
            except (RequestRefused, NonFinite) as refused:
                error = error or f"{request.id}: {refused.message}"
                continue
            scores += suite.compare([request], before, after)
        yield Trial(window, _means(scores), sum(seconds) / max(1, len(seconds)), error)
    progress("edits", total, total)


def _estimate(model: EditableModel, plan: Plan, resources: Resources, progress: Progress) -> None:
    """Estimate the key statistics of all layers in one pass, for a method that asks for them."""
    method = plugins.load("methods", plan.recipe.method)
    settings = hyperparameters_from(method.defaults(model), plan.settings(plan.windows[0]))
    tokens = getattr(settings, "statistics_tokens", None)
    if tokens is not None:
        layers = sorted({layer for window in plan.windows for layer in window})
        resources.statistics.second_moments(model, layers, tokens, progress)


def criterion(trials: Sequence[Trial]) -> tuple[str, ...]:
    """The measures whose harmonic mean says which layer is best: those that all trials have.

    ES, PS and NS (Meng et al. 2022); without them reliability and what there is of generalization
    and locality. Empty if no edit could be made.
    """
    measured = [set(trial.means) for trial in trials if trial.means]
    common = set.intersection(*measured) if measured else set()
    if common.issuperset(_CRITERIA[0]):
        return _CRITERIA[0]
    return tuple(name for name in _CRITERIA[1] if name in common)


def score_of(trial: Trial, measures: Sequence[str]) -> float | None:
    """Harmonic mean of the measures' means; None for a trial in which an edit was refused."""
    if trial.error or not measures:
        return None
    return harmonic_mean([trial.means[name].after for name in measures])


def _means(scores: Sequence[Score]) -> dict[str, Mean]:
    return Evaluation("requests", "", {}, tuple(scores), {}).means()
