"""All contenders on one edit, in turns, each result compared with the exact one."""

import os
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .compare import broken_promises, differing
from .contenders import LINKED, OURS, Contender
from .edits import Edit
from .process import Failed, Usage, run

SLOW_SECONDS = 15.0
SLOW_RUNS = 2


@dataclass
class Outcome:
    """What was found of one contender on one edit.

    `wrong` counts elements that differ from the exact result, None if there was nothing to compare.
    """

    contender: Contender
    runs: list[Usage] = field(default_factory=list)
    wrong: int | None = None
    problem: str = ""

    @property
    def wall(self) -> float:
        """Median seconds."""
        return statistics.median(run.wall for run in self.runs)

    @property
    def fastest(self) -> float:
        """Least seconds."""
        return min(run.wall for run in self.runs)

    @property
    def cpu(self) -> float:
        """Median seconds of all processors together."""
        return statistics.median(run.cpu for run in self.runs)

    @property
    def anonymous(self) -> int:
        """Most bytes of anonymous memory in any run."""
        return max(run.anonymous for run in self.runs)


def measure(
    edit: Edit, contenders: Sequence[Contender], runs: int, cpus: set[int], work: Path
) -> list[Outcome]:
    """Run all in turn, `runs` times; those that take longer than 15 s only twice.

    A copy comes first and does not count: it brings the base, and the memory, into the cache.
    """
    with tempfile.TemporaryDirectory(prefix="warm-", dir=work) as warm:
        shutil.copytree(edit.base, Path(warm) / "out")
    outcomes = [Outcome(contender) for contender in contenders]
    for outcome in outcomes:
        if not outcome.contender.installed:
            outcome.problem = "not installed"
    for number in range(runs):
        for outcome in outcomes:
            slow = number >= SLOW_RUNS and outcome.runs and outcome.fastest > SLOW_SECONDS
            if not outcome.problem and not slow:
                _run_once(outcome, edit, cpus, work, compare=number == 0)
    return outcomes


def _run_once(outcome: Outcome, edit: Edit, cpus: set[int], work: Path, *, compare: bool) -> None:
    contender = outcome.contender
    log = work / f"{edit.folder.name}-{contender.name}.log"
    with tempfile.TemporaryDirectory(prefix="run-", dir=work) as name:
        out, scratch = Path(name) / "out", Path(name) / "scratch"
        scratch.mkdir()
        try:
            usage = run(contender.command(edit, out, scratch), cpus, _environment(scratch), log)
        except Failed as failure:
            outcome.problem = "failed"
            print(f"{contender.name}: {failure}")
            return
        outcome.runs.append(usage)
        print(
            f"  {contender.name:18} {usage.wall:7.2f} s  {usage.cpu:7.2f} s of CPU"
            f"  {usage.anonymous / 1e6:6.0f} MB",
            flush=True,
        )
        if compare and contender.edits:
            _compare(outcome, edit, out)


def _compare(outcome: Outcome, edit: Edit, out: Path) -> None:
    try:
        outcome.wrong = differing(edit.edited, out)
        ours = outcome.contender.name in {OURS, LINKED}
        if ours and (broken := broken_promises(edit.patch, out)):
            outcome.problem = f"{len(broken)} tensors do not have the promised digest"
    except ValueError as error:
        outcome.problem = str(error)
    if outcome.wrong or outcome.problem:
        print(f"  {outcome.contender.name:18} {outcome.wrong} wrong {outcome.problem}", flush=True)


def _environment(scratch: Path) -> dict[str, str]:
    """Ours with an empty home, so that no digest is remembered; no library may ask the network.

    Bytecode is kept, as it is for installed packages: a source tree is not to be compiled each run.
    """
    inherited = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}
    return {
        **inherited,
        "WEIGHTPATCH_HOME": str(scratch / "home"),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def remove(folder: Path) -> None:
    """Remove a folder that may not be there."""
    shutil.rmtree(folder, ignore_errors=True)
