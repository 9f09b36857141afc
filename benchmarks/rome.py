"""How long one ROME edit takes, phase by phase: the first on a new base, and those after it.

python benchmarks/rome.py MODEL [--threads 2] [--statistics TEXT]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import EditableModel, load_model
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.rome import Rome
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.requests import EditRequest

REQUESTS = (
    EditRequest("The mother tongue of {} is", "Danielle Darrieux", "English"),
    EditRequest("The capital of {} is", "Australia", "Canberra"),
    EditRequest("{} is located in the city of", "The Eiffel Tower", "Rome"),
    EditRequest("{} was developed by", "The iPhone", "Microsoft"),
    EditRequest("The language that people speak in {} is", "Vienna", "Italian"),
)


class Stopwatch:
    """Adds up the seconds of each phase that a method reports."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phase = "other"
        self._since = time.perf_counter()

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """A progress report: time since the last one belongs to the phase that was going on."""
        now = time.perf_counter()
        self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = ("other" if done == total else phase), now


def edit(model: EditableModel, request: EditRequest, kept: KeyStatistics) -> dict[str, float]:
    """Seconds of one edit by phase, and in all."""
    watch = Stopwatch()
    start = time.perf_counter()
    Rome().edit(
        model, [request], Rome.defaults(model), seed=0, resources=Resources(kept), progress=watch
    )
    watch("end", 0, 0)
    return {**watch.seconds, "in all": time.perf_counter() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--statistics", type=Path, help="text; by default the model's own")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    start = time.perf_counter()
    model = load_model(Checkpoint.open(options.model))
    print(f"loading the model: {time.perf_counter() - start:.1f} s, {options.threads} threads")
    print(Rome.defaults(model))
    with tempfile.TemporaryDirectory() as folder:
        kept = KeyStatistics(Path(folder), options.statistics)
        print_row("first edit", edit(model, REQUESTS[0], kept))
        warm = [edit(model, request, kept) for request in REQUESTS for _ in range(2)]
    phases = list(dict.fromkeys(phase for seconds in warm for phase in seconds))
    medians = {
        phase: statistics.median(seconds.get(phase, 0.0) for seconds in warm) for phase in phases
    }
    print_row("later edits, median", medians)
    print_row("fastest", min(warm, key=lambda seconds: seconds["in all"]))


def print_row(title: str, seconds: dict[str, float]) -> None:
    """One line of phases."""
    parts = [f"{phase} {value:.2f}" for phase, value in seconds.items() if value >= 0.005]
    print(f"{title:20} {', '.join(parts)} s")


if __name__ == "__main__":
    main()
