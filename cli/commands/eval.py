"""eval: score a version on its base, and judge it by a gate."""

from typing import TYPE_CHECKING

import click

from ...patches.errors import InputError
from ..app import App
from ..model_options import device_option
from ..options import Parsed, declare
from ..questions import measures_of, questions
from ..scoring import show_evaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...patches.evaluation.base import Evaluation
    from ...patches.evaluation.conditions import Condition, Verdict
    from ...patches.format.patch import Patch
    from ...registry.registry import Registry


def _gate(text: str) -> "tuple[Condition, ...]":
    from ...patches.evaluation.conditions import parse_gate

    return parse_gate(text)


def _counts(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise ValueError(f"{text!r} is no list of numbers as in 1,10,50")
    if not all(map(int, parts)):
        raise ValueError("retention is scored after 1 edit at least")
    return tuple(map(int, parts))


@declare(
    "eval",
    examples="weightpatch eval acme/darrieux\n"
    "weightpatch eval acme/twenty --suite requests --suite text --suite counterfact\n"
    'weightpatch eval acme/darrieux --gate "reliability>=0.9,locality>=0.9"\n'
    "weightpatch eval acme/sequence --retention 1,10,50 --json",
)
@click.argument("reference", metavar="REF")
@click.option("--base", metavar="BASE", help="Folder or Hub id; the remembered one by default.")
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="SUITE|DATA",
    help="requests (the default), text, or NAME[:FILE] of a data set; may be repeated.",
)
@click.option(
    "--gate",
    type=Parsed("conditions", _gate),
    metavar="CONDITIONS",
    help='What the means after the edit must be, as in "reliability>=0.9,locality>=0.9".',
)
@click.option(
    "--retention",
    "counts",
    type=Parsed("numbers", _counts),
    metavar="N,N,…",
    help="Score the model as it was after so many edits of a sequence, too; rounded up to the end "
    "of a batch.",
)
@device_option
def command(
    app: App,
    reference: str,
    base: str | None,
    suites: tuple[str, ...],
    gate: "tuple[Condition, ...] | None",
    counts: tuple[int, ...] | None,
    device: str,
) -> None:
    """Score a version before and after on its base, and store the scores.

    Of a data set those requests are asked that the version carries out, with their probes. Exit
    status 3 if a condition of the gate is not met, or was not scored; the scores are stored all the
    same.
    """
    from ...patches.checkpoints.models import load_model
    from ...patches.evaluation.conditions import judge, require_met

    _require_measures(gate or (), suites)
    patch = app.patches([reference])[0]
    names = suites or (() if counts else ("requests",))
    asked = questions(patch, names, counts, note=app.output.note)
    checkpoint = app.base_for([patch], base)
    with app.registry() as registry, app.progress() as progress:
        known = _is_known(registry, patch)
        model = load_model(checkpoint, device=device)
        if known:
            registry.record_base(checkpoint, location=str(checkpoint.path.resolve()))
        evaluations = []
        for question in asked:
            evaluations.append(question.ask(model, patch, progress, app.config.cache))
            if known:
                registry.record_evaluation(patch.digest, checkpoint.fingerprint, evaluations[-1])
    verdicts = judge(gate or (), [(one.suite, one.means()) for one in evaluations])
    _show(app, patch.label, checkpoint.id, evaluations, verdicts)
    if not known:
        app.output.note("not stored: the registry does not hold this version; pull it first")
    require_met(verdicts, patch.label)


def _require_measures(gate: "Sequence[Condition]", suites: "Sequence[str]") -> None:
    """Fail with click's usage error for a condition on what is no measure of ours or of a suite."""
    from ...patches.evaluation.conditions import require_measures

    try:
        require_measures(gate, measures_of(suites))
    except InputError as error:
        said = ". ".join(filter(None, (error.message, error.hint)))
        raise click.BadParameter(said, param_hint="'--gate'") from None


def _show(
    app: App,
    label: str,
    base: str,
    evaluations: "list[Evaluation]",
    verdicts: "list[Verdict]",
) -> None:
    app.output.data(
        "eval",
        {
            "label": label,
            "evaluations": [one.to_json() for one in evaluations],
            "gate": [verdict.to_json() for verdict in verdicts],
            "passed": all(verdict.met for verdict in verdicts),
        },
    )
    for evaluation in evaluations:
        app.output.line(f"{label} on {base}, suite {evaluation.suite}")
        show_evaluation(app.output, evaluation)
        app.output.line()
    app.output.table(
        ["gate", "condition", "it is", "suite"],
        [
            [
                "met" if verdict.met else "NOT MET",
                str(verdict.condition),
                "not scored" if verdict.value is None else verdict.value,
                verdict.suite,
            ]
            for verdict in verdicts
        ],
    )


def _is_known(registry: "Registry", patch: "Patch") -> bool:
    from ...registry.errors import NotFound

    try:
        registry.resolve(f"sha256:{patch.digest}")
    except NotFound:
        return False
    return True
