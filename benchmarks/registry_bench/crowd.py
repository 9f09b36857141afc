"""Many processes that begin at one signal, and what each step of each of them took."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WORKERS = Path(__file__).parent / "workers"


@dataclass(frozen=True)
class Crowd:
    """What a crowd did: wall seconds from the first step to the last, seconds of each step."""

    wall: float
    seconds: tuple[float, ...]
    errors: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Steps a second, of all processes together."""
        return len(self.seconds) / self.wall

    @property
    def median(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        """Seconds that 99 of 100 steps stay below."""
        return percentile(self.seconds, 0.99)

    @property
    def worst(self) -> float:
        """Most seconds of a step."""
        return max(self.seconds)


def percentile(values: Sequence[float], share: float) -> float:
    """The least of the values that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run(script: str, arguments: Sequence[Sequence[str | Path | int]]) -> Crowd:
    """Start a process of the script for each list of arguments, and let them loose together.

    Raises RuntimeError if one of them ends early or with another status than 0.
    """
    os.sync()
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORKERS / script), *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for words in arguments
    ]
    try:
        return _let_loose(processes)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def _let_loose(processes: Sequence["subprocess.Popen[str]"]) -> Crowd:
    for process in processes:
        if process.stdout is None or process.stdout.readline().strip() != "ready":
            raise RuntimeError("a process ended before it was ready")
    for process in processes:
        if process.stdin is not None:
            process.stdin.write("go\n")
            process.stdin.flush()
    records = [json.loads(process.communicate()[0]) for process in processes]
    return Crowd(
        wall=max(one["end"] for one in records) - min(one["begin"] for one in records),
        seconds=tuple(seconds for one in records for seconds in one["seconds"]),
        errors=tuple(error for one in records for error in one["errors"]),
    )
