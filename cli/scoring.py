"""Score a version on a loaded base, and show what came of it."""

from typing import TYPE_CHECKING

from ..patches.progress import Progress
from .output import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..patches.checkpoints.models import EditableModel
    from ..patches.evaluation.base import Evaluation, Mean
    from ..patches.format.patch import Patch


def score(model: "EditableModel", patch: "Patch", suite: str, progress: Progress) -> "Evaluation":
    """Run a suite on the base and on the patched model; the model is left as it was."""
    from ..patches import plugins
    from ..patches.evaluation.base import evaluate
    from ..patches.live import patched

    return evaluate(
        plugins.load("suites", suite)(),
        model.model,
        model.tokenizer,
        patch.requests,
        patched(model.model, patch),
        progress=progress,
    )


def show_means(output: Output, means: "Mapping[str, Mean]") -> None:
    """A table of means before and after, in the order in which the measures are documented."""
    from ..patches.evaluation.measures import MEASURES

    order = list(MEASURES)
    known = sorted(means, key=lambda name: order.index(name) if name in order else len(order))
    output.table(
        ["measure", "before", "after", "cases"],
        [[name, means[name].before, means[name].after, means[name].cases] for name in known],
    )
