"""Single ROME edits alone and together: sets of 2, 10 and 50, composed in every way there is.

python benchmarks/composing.py MODEL [--seed 0] [--count 50] [--sizes 2,10,50]
    [--work .cache/composing] [--table docs/composing.md]

Each of --count CounterFact records, drawn by --seed as the survey draws them, is carried out by
itself. They are then composed in disjoint sets of each size, so that every size is scored on the
same records, and beside them MEMIT carries out the requests of each set in one batch. One thread;
what was found is kept in --work, so that a run can be stopped and taken up again; where composing
has changed since, remove rome.jsonl there.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from harness.document import machine, write_between
from survey_bench import records
from survey_bench.report import LIBRARIES, SINGLES
from survey_bench.results import BATCH, Run
from survey_bench.worker import ORIGIN, TOGETHER, Worker
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import load_model
from weightpatch.patches.composition.compose import Blend, compose
from weightpatch.patches.datasets.loading import text_for_perplexity
from weightpatch.patches.errors import WeightpatchError
from weightpatch.patches.evaluation.base import evaluate
from weightpatch.patches.evaluation.text import TextSuite
from weightpatch.patches.format.patch import MANIFEST, Patch
from weightpatch.patches.live import patched
from weightpatch.patches.make import Recipe, make
from weightpatch.patches.requests import EditRequest
from weightpatch.patches.tools import versions

ALONE = "alone"
WAYS: Mapping[str, Callable[[int], Blend]] = {
    "sum": lambda _: Blend(),
    "resolve": lambda _: Blend("resolve"),
    "ties": lambda _: Blend("ties"),
    "dare": lambda _: Blend("dare"),
    "weights 1/n": lambda size: Blend(weights=[1 / size] * size),
}
"""How a set of so many is composed."""
SHOWN = {**SINGLES[TOGETHER], "perplexity": "perplexity.drift"}

_TEXT = text_for_perplexity()[:8_000]
_READ = 10
"""Of so many edits alone, and of the first set of each size, the perplexity is taken."""

Set = tuple[str, list[EditRequest]]


class Brief(Worker):
    """A row of the survey that reads less, and only if `reads` says so."""

    reads = False

    def _drift(self, patch: Patch) -> dict[str, Any]:
        if not self.reads:
            return {}
        suite, live, tokenizer = TextSuite(_TEXT), self.model.model, self.model.tokenizer
        if self._text is None:
            self._text = suite.observe(live, tokenizer, [])
        found = evaluate(suite, live, tokenizer, [], patched(live, patch), before=self._text)
        return {name: (mean.before, mean.after) for name, mean in found.means().items()}


class Composer(Brief):
    """ROME on one model: its single edits, which are kept, and sets of them."""

    def member(self, request: EditRequest) -> Patch:
        """The patch of one request, made unless it is there."""
        folder = self._work / "members" / request.id
        if not (folder / MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            origin = replace(ORIGIN, name=f"survey/record-{request.id}")
            recipe = Recipe(self.name)
            make(folder, self.model, [request], recipe, origin, self._resources()).as_patch()
        return Patch.open(folder)

    def alone(self, request: EditRequest) -> None:
        """Score the patch of one request, unless that was done before."""
        if (TOGETHER, ALONE, request.id) not in self.results.runs:
            patch = self.member(request)
            scores = {**self._scores(patch, [request]), **self._drift(patch)}
            self._add(TOGETHER, ALONE, request.id, scores, size=_size(patch))

    def together(self, way: str, case: str, requests: Sequence[EditRequest]) -> None:
        """Compose the patches of some requests and score them, unless that was done before."""
        if (TOGETHER, way, case) in self.results.runs:
            return
        members = [self.member(request) for request in requests]
        blend, checkpoint = WAYS[way](len(members)), self.model.checkpoint
        cpu, wall = time.process_time(), time.perf_counter()
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / "composed"
            folder.mkdir()
            try:
                draft = compose(checkpoint, members, folder, ORIGIN, versions(["numpy"]), blend)
            except WeightpatchError as error:
                self._add(TOGETHER, way, case, {}, refused=error.message)
                return
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            patch = draft.as_patch()
            scores = {**self._scores(patch, patch.requests), **self._drift(patch)}
            self._add(TOGETHER, way, case, scores, cpu=cpu, wall=wall, size=_size(patch))


def _size(patch: Patch) -> int:
    return sum(file.size for file in patch.manifest.files.values())


def sets_of(requests: Sequence[EditRequest], size: int) -> list[Set]:
    """Disjoint sets, in the order of the records, each with a name of its own."""
    starts = range(0, len(requests) - size + 1, size)
    return [(f"{size}.{start // size}", list(requests[start : start + size])) for start in starts]


def table(composed: Sequence[Run], memit: Sequence[Run], sizes: Sequence[int]) -> str:
    """A row for the edits alone, and one for each size and way: means over the sets."""
    lines = [
        f"| edits | | {' | '.join(SHOWN)} | patch kB |",
        f"|--:|---|{'--:|' * (len(SHOWN) + 1)}",
        _row("1", ALONE, [run for run in composed if run.way == ALONE]),
    ]
    for size in sizes:
        found = [run for run in (*composed, *memit) if run.case.startswith(f"{size}.")]
        for way in (*WAYS, BATCH):
            runs = [run for run in found if run.way == way]
            name = "MEMIT, one batch" if way == BATCH else f"`{way}`"
            lines += [_row(str(size), name, runs)] if runs else []
    return "\n".join(lines)


def _row(edits: str, name: str, runs: Sequence[Run]) -> str:
    done = [run for run in runs if not run.refused]
    if len(done) < len(runs):
        name += f" ({len(done)} of {len(runs)} sets)"
    cells = [_mean(done, measure) for measure in SHOWN.values()]
    size = f"{fmean(run.size for run in done) / 1e3:,.0f}" if done else ""
    return f"| {' | '.join([edits, name, *cells, size])} |"


def _mean(runs: Sequence[Run], measure: str) -> str:
    values = [run.scores[measure][1] for run in runs if measure in run.scores]
    return f"{fmean(values):.3f}" if values else ""


def _sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--sizes", type=_sizes, default=[2, 10, 50])
    parser.add_argument("--work", type=Path, default=Path(".cache/composing"))
    parser.add_argument("--table", type=Path, help="put the table into this document")
    return parser.parse_args()


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    model = load_model(Checkpoint.open(options.model))
    work = options.work / f"seed-{options.seed}"
    composer, memit = Composer(model, "rome", work), Brief(model, "memit", work)
    drawn = records.for_edits(TOGETHER, options.count, options.seed)
    for number, request in enumerate(drawn):
        composer.reads = number < _READ
        composer.alone(request)
    for size in options.sizes:
        for case, some in sets_of(drawn, size):
            composer.reads = memit.reads = case.endswith(".0")
            for way in WAYS:
                composer.together(way, case, some)
            memit.run(TOGETHER, BATCH, case, some)
    runs = [list(worker.results.runs.values()) for worker in (composer, memit)]
    head = f"Sample {options.seed}: {options.count} records. {machine(1, LIBRARIES)}"
    text = f"{head}\n\n{table(*runs, options.sizes)}\n"
    print(text)
    if options.table:
        write_between(options.table, "composing.py", text)


if __name__ == "__main__":
    main()
