"""Score a version on a loaded base, and show what came of it."""

from typing import TYPE_CHECKING

from ..patches.progress import Progress
from .output import Output

if TYPE_CHECKING:
    from ..patches.evaluation.base import Evaluation
    from ..patches.models import EditableModel
    from ..patches.patch import Patch


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


def show_scores(output: Output, evaluation: "Evaluation") -> None:
    """A table of means before and after."""
    output.table(
        ["measure", "before", "after", "cases"],
        [[name, mean.before, mean.after, mean.cases] for name, mean in evaluation.means().items()],
    )
