"""One row on all records: survey_bench/worker.py MODEL ROW WORK --seed 0 --count 50 [--train]."""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from weightpatch.cli.measuring import MeteredStatistics
from weightpatch.patches import plugins
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import EditableModel, load_model
from weightpatch.patches.draft import Origin
from weightpatch.patches.errors import WeightpatchError
from weightpatch.patches.evaluation.base import Evaluation, evaluate
from weightpatch.patches.evaluation.requests import RequestProbes
from weightpatch.patches.evaluation.retention import retention
from weightpatch.patches.evaluation.text import TextSeen, TextSuite
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.live import patched
from weightpatch.patches.make import Recipe, make
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.hyperparameters import hyperparameters_from
from weightpatch.patches.progress import silent
from weightpatch.patches.requests import EditRequest
from weightpatch.patches.tools import versions

sys.path.insert(0, str(Path(__file__).parents[1]))

from survey_bench import records
from survey_bench.results import BATCH, ONCE, SEQUENCE, SINGLE, Results, Run
from survey_bench.rows import ROWS

if TYPE_CHECKING:
    from weightpatch.patches.evaluation.teacher_forcing import Observations

TOGETHER = "counterfact"
POINTS = (1, 10)
"""After how many edits a sequence is looked at, besides its end."""
WRITING = 4
"""Of so many requests the model writes on about the subject."""
ORIGIN = Origin("survey/edit", author="benchmark", created="2026-01-01T00:00:00Z")


class Worker:
    """A row, the model that it edits, and what it has done so far."""

    def __init__(self, model: EditableModel, name: str, work: Path) -> None:
        self.model, self.name, self.row, self._work = model, name, ROWS[name], work
        self.method = plugins.load("methods", self.row.method)
        self.settings = asdict(hyperparameters_from(self.method.defaults(model), self.row.settings))
        made_with = {
            "base": model.checkpoint.fingerprint,
            "method": self.method.version,
            "settings": self.settings,
            "tools": versions(["numpy", "torch", "transformers", *self.method.tools]),
        }
        # As JSON gives them back, to be compared with what is in the file.
        self._made_with = json.loads(json.dumps(made_with))
        self.results = Results(work / f"{name}.jsonl", self._made_with)
        self._editor = work / f"{name}-{model.checkpoint.fingerprint[:16]}.safetensors"
        self._statistics = MeteredStatistics(work / f"statistics-{name}")
        self._before: dict[tuple[EditRequest, ...], Observations] = {}
        self._text: TextSeen | None = None

    def train(self) -> None:
        """Train the editor of a method that needs one, unless that was done before."""
        if self._editor.exists() and ("", ONCE, "training") in self.results.runs:
            return
        settings = self.method.training_defaults(self.model)
        wall, cpu = time.perf_counter(), time.process_time()
        trained = self.method().train(
            self.model, records.for_training(), settings, seed=0, progress=silent
        )
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        trained.write(self._editor)
        self._add("", ONCE, "training", {}, cpu=cpu, wall=wall, size=self._editor.stat().st_size)

    def warm_up(self) -> None:
        """One edit that does not count: afterwards statistics are there and libraries loaded."""
        with tempfile.TemporaryDirectory() as folder:
            recipe, some = Recipe(self.row.method, self.row.settings), records.for_training()[:1]
            make(Path(folder), self.model, some, recipe, ORIGIN, self._resources())
        took = self._statistics.meter
        if took.seconds and ("", ONCE, "statistics") not in self.results.runs:
            self._add("", ONCE, "statistics", {}, cpu=took.cpu_seconds, wall=took.seconds)

    def run(self, dataset: str, way: str, case: str, requests: Sequence[EditRequest]) -> None:
        """Make and score one edit, unless that was done before."""
        if (dataset, way, case) in self.results.runs:
            return
        recipe = Recipe(self.row.method, {**self.row.settings, **self._batching(way)}, seed=0)
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                draft = make(Path(folder), self.model, requests, recipe, ORIGIN, self._resources())
            except WeightpatchError as error:
                self._add(dataset, way, case, {}, refused=error.message)
                return
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            patch = draft.as_patch()
            size = sum(file.size for file in patch.manifest.files.values())
            scores = self._scores(patch, requests)
            if way != SINGLE:
                scores.update(self._drift(patch))
            if way == SEQUENCE:
                self._add_points(dataset, patch, [point for point in POINTS if point < int(case)])
        self._add(dataset, way, case, scores, cpu=cpu, wall=wall, size=size)

    def _resources(self) -> Resources:
        return Resources(self._statistics, self._editor if self.row.trained else None)

    def _scores(self, patch: Patch, requests: Sequence[EditRequest]) -> dict[str, Any]:
        suite, key = RequestProbes(), tuple(requests)
        live = self.model.model
        if key not in self._before:
            self._before[key] = suite.observe(live, self.model.tokenizer, requests)
        found: Evaluation = evaluate(
            suite,
            live,
            self.model.tokenizer,
            requests,
            patched(live, patch),
            before=self._before[key],
        )
        return {name: (mean.before, mean.after) for name, mean in found.means().items()}

    def _batching(self, way: str) -> dict[str, str]:
        """A sequence carries out one request at a time, a batch all at once."""
        if "batch_size" not in self.settings:
            return {}
        return {"batch_size": "1" if way == SEQUENCE else "0"}

    def _drift(self, patch: Patch) -> dict[str, Any]:
        """What a text that has nothing to do with the edits says of the model."""
        live, suite, requests = self.model.model, TextSuite(), patch.requests[:WRITING]
        if self._text is None:
            self._text = suite.observe(live, self.model.tokenizer, requests)
        found: Evaluation = evaluate(
            suite,
            live,
            self.model.tokenizer,
            requests,
            patched(live, patch),
            before=self._text,
        )
        return {name: (mean.before, mean.after) for name, mean in found.means().items()}

    def _add_points(self, dataset: str, patch: Patch, points: Sequence[int]) -> None:
        """The same sequence after fewer edits."""
        if not points:
            return
        found = retention(self.model, patch, points)
        for case in map(str, points):
            scores = {
                score.measure.removeprefix("retention."): (score.before, score.after)
                for score in found.scores
                if score.case == case
            }
            self._add(dataset, SEQUENCE, case, scores)

    def _add(
        self,
        dataset: str,
        way: str,
        case: str,
        scores: dict[str, Any],
        *,
        cpu: float = 0.0,
        wall: float = 0.0,
        size: int = 0,
        refused: str | None = None,
    ) -> None:
        run = Run(
            row=self.name,
            made_with=self._made_with,
            dataset=dataset,
            way=way,
            case=case,
            scores=scores,
            cpu=cpu,
            wall=wall,
            size=size,
            memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            refused=refused,
        )
        self.results.add(run)
        shown = run.refused or f"{run.cpu:.1f} s of CPU"
        print(f"{self.name} {dataset} {way} {case}: {shown}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("row", choices=ROWS)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--train", action="store_true", help="train the editor, and no more")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(Checkpoint.open(options.model))
    worker = Worker(model, options.row, options.work)
    if options.train:
        worker.train()
        return
    worker.warm_up()
    drawn = {
        dataset: records.for_edits(dataset, options.count, options.seed)
        for dataset in records.DATASETS
    }
    for dataset, requests in drawn.items():
        for request in requests:
            worker.run(dataset, SINGLE, request.id, [request])
    together = drawn[TOGETHER]
    if "batch_size" in worker.settings:
        for size in sorted({min(10, len(together)), len(together)}):
            worker.run(TOGETHER, BATCH, str(size), together[:size])
    worker.run(TOGETHER, SEQUENCE, str(len(together)), together)


if __name__ == "__main__":
    main()
