"""What was found, as tables in Markdown and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import edits, models
from .contenders import FLOOR, OURS
from .document import machine, write_between
from .edits import Edit
from .measure import Outcome
from .promises import Found, promises
from .weights import weight_files

LIBRARIES = ("numpy", "torch", "safetensors", "transformers", "peft", "mergekit")


@dataclass
class Report:
    """All outcomes by model and case; seconds of attaching and detaching by name."""

    cpus: int
    found: Found = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    in_memory: dict[str, float] = field(default_factory=dict)

    def add(self, edit: Edit, outcomes: Sequence[Outcome]) -> None:
        """Take in what was measured on one edit."""
        model = edit.base.name
        self.sizes[model] = sum(path.stat().st_size for path in weight_files(edit.base))
        self.found[model, edit.case] = {outcome.contender.name: outcome for outcome in outcomes}

    def markdown(self) -> str:
        """The tables."""
        parts = [machine(self.cpus, LIBRARIES)]
        for model, size in self.sizes.items():
            parts.append(f"### {models.TITLES[model]}, {size / 1e6:,.0f} MB")
            for (name, case), outcomes in self.found.items():
                if name == model:
                    parts.append(_table(case, outcomes))
        if self.in_memory:
            parts.append("### In memory\n\n" + _in_memory_table(self.in_memory))
        parts.append("### What must hold\n\n" + _promises_table(self))
        return "\n\n".join(parts) + "\n"

    def write_into(self, path: Path) -> None:
        """Replace what stands between the two markers of a document."""
        write_between(path, "apply.py", self.markdown())

    def to_json(self) -> dict[str, Any]:
        """All figures, each run for itself."""
        return {
            "machine": machine(self.cpus, LIBRARIES),
            "in_memory": self.in_memory,
            "apply": [
                {
                    "model": model,
                    "case": case,
                    "contender": name,
                    "wrong": outcome.wrong,
                    "problem": outcome.problem,
                    "runs": [asdict(run) for run in outcome.runs],
                }
                for (model, case), outcomes in self.found.items()
                for name, outcome in outcomes.items()
            ],
        }


def _table(case: str, outcomes: dict[str, Outcome]) -> str:
    lines = [
        f"**({case})** {edits.TITLES[case]}",
        "",
        "| | wall s, least (median) | CPU s | memory MB | to `cp` | to ours | wrong elements |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [_row(outcome, outcomes) for outcome in outcomes.values()]
    return "\n".join(lines)


def _row(outcome: Outcome, outcomes: dict[str, Outcome]) -> str:
    if not outcome.runs:
        return f"| {outcome.contender.title} | {outcome.problem} | | | | | |"
    wrong = outcome.problem or ("" if outcome.wrong is None else f"{outcome.wrong:,}")
    synced = " ¹" if outcome.contender.synced else ""
    return (
        f"| {outcome.contender.title}{synced} | {outcome.fastest:.2f} ({outcome.wall:.2f}) "
        f"| {outcome.cpu:.2f} | {outcome.anonymous / 1e6:,.0f} "
        f"| {_ratio(outcome, outcomes.get(FLOOR))} | {_ratio(outcome, outcomes.get(OURS))} "
        f"| {wrong} |"
    )


def _ratio(outcome: Outcome, to: Outcome | None) -> str:
    if to is None or not to.runs:
        return ""
    return f"{outcome.fastest / to.fastest:.1f}"


def _in_memory_table(seconds: dict[str, float]) -> str:
    lines = ["| rank 1 on the loaded SmolLM2, float32 | median ms |", "|---|--:|"]
    lines += [f"| {name} | {value * 1e3:.2f} |" for name, value in seconds.items()]
    return "\n".join(lines)


def _promises_table(report: Report) -> str:
    lines = ["| | limit | found | |", "|---|--:|--:|---|"]
    for promise in promises(report.found, report.in_memory):
        verdict = "kept" if promise.kept else "**missed**"
        lines.append(f"| {promise.text} | {promise.limit} | {promise.found} | {verdict} |")
    return "\n".join(lines)
