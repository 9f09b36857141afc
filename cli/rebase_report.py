"""What came of a rebase: the version, how it was made, and both bases side by side."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..patches.evaluation.measures import MEASURES
from .output import Output
from .rebasing import AGAIN, AS_IS, CARRY, Attempt, Known, Rebasing

if TYPE_CHECKING:
    from ..patches.evaluation.base import Mean
    from ..registry.registry import VersionInfo

    Means = Mapping[str, Mean]


def announce(
    rebasing: Rebasing,
    known: Known | None,
    attempt: Attempt,
    version: "VersionInfo",
    supersedes: str | None,
) -> None:
    """Say which version there is now, how it came about, and how well it works beside the old."""
    from ..patches.rebasing.holding import losses

    app, patch, onto = rebasing.app, rebasing.patch, rebasing.onto
    before = known.means if known else {}
    lost = losses(before, attempt.means, rebasing.options["tolerance"])
    details = {
        "how": attempt.how,
        "left": dict(attempt.left),
        "lost": [vars(loss) for loss in lost],
        "old": {
            "version": patch.label,
            "digest": patch.digest,
            "base": known.base if known else None,
            "source": known.source if known else None,
            "means": _plain(before),
        },
        "new": {"version": version.label, "base": onto.id, "means": _plain(attempt.means)},
        "evaluations": [one.to_json() for one in attempt.evaluations],
    }
    app.announce("rebase", version, supersedes=supersedes, details=details)
    for line in _lines(rebasing, known, attempt):
        app.output.line(line)
    app.output.line()
    _show(app.output, before, attempt.means)
    for note in _notes(attempt, version, patch.label, lost):
        app.output.note(note)


def _lines(rebasing: Rebasing, known: Known | None, attempt: Attempt) -> list[str]:
    label, onto = rebasing.patch.label, rebasing.onto.id
    method = rebasing.patch.manifest.method.name
    said = {
        AGAIN: f"{label} was made again on {onto} by {method}",
        CARRY: f"the delta of {label} was carried over to {onto}",
        AS_IS: f"{label} fits {onto} as it is, so no new version is needed",
    }
    scores = f"scores on {known.base}: {known.source}" if known else "no scores on the old base"
    return [said[attempt.how], f"{scores}; on {onto}: scored now"]


def _notes(attempt: Attempt, version: "VersionInfo", old: str, lost: Sequence[object]) -> list[str]:
    notes = []
    for name, was in attempt.left.items():
        notes.append(f"note: {name}={_typed(was)} was not taken over: {_instead(attempt, name)}")
    if lost:
        notes.append(f"warning: on the new base it loses {', '.join(map(str, lost))}")
    if attempt.how != AS_IS and version.is_new and old.startswith(f"{version.name}@"):
        notes.append(f"note: {version.name} now means {version.label}; for the old base use {old}")
    return notes


def _instead(attempt: Attempt, name: str) -> str:
    """What a hyperparameter is now; one that is gone is none any more."""
    now = attempt.draft.manifest.method.hyperparameters if attempt.draft else {}
    if name not in now:
        return "the method has no such hyperparameter now"
    return f"{name}={_typed(now[name])} suits the new base, which is another model"


def _typed(value: object) -> str:
    """A hyperparameter from a manifest as `--set` takes it."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _show(output: Output, old: "Means", new: "Means") -> None:
    """A row a measure: each base by itself, and with its version."""
    order = list(MEASURES)
    names = sorted(
        {*old, *new}, key=lambda name: order.index(name) if name in order else len(order)
    )
    output.table(
        ["measure", "old base", "edited", "new base", "edited"],
        [[name, *_pair(old.get(name)), *_pair(new.get(name))] for name in names],
    )


def _pair(mean: "Mean | None") -> tuple[float | None, float | None]:
    return (None, None) if mean is None else (mean.before, mean.after)


def _plain(means: "Means") -> dict[str, Any]:
    return {name: mean._asdict() for name, mean in means.items()}
