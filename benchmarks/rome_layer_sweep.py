"""Which layer ROME should edit: single edits of facts that the model knows, at each layer in turn.

python benchmarks/rome_layer_sweep.py MODEL --records FILE --layers 3,4,5,8 --count 20

FILE is a JSON list in CounterFact's own form (Meng et al. 2022). Of its records, those from --skip
on are taken whose true object the model answers greedily, up to --count. Each is edited by itself
and scored, as `weightpatch create` does, with the weights as `apply` would write them.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import EditableModel, load_model
from weightpatch.patches.draft import Origin
from weightpatch.patches.evaluation.requests import RequestProbes
from weightpatch.patches.evaluation.teacher_forcing import Observations, observe
from weightpatch.patches.live import patched
from weightpatch.patches.make import Recipe, make
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.requests import EditRequest, Probe

MEASURES = {
    "exact": "reliability.exact-match",
    "ES": "rome.es",
    "PS": "rome.ps",
    "NS": "rome.ns",
}


def requests_of(records: list[Mapping[str, Any]]) -> Iterator[EditRequest]:
    """CounterFact's records as edit requests."""
    for record in records:
        rewrite = record["requested_rewrite"]
        new, true = rewrite["target_new"]["str"], rewrite["target_true"]["str"]
        yield EditRequest(
            rewrite["prompt"],
            rewrite["subject"],
            new,
            old_target=true,
            paraphrases=tuple(Probe(text, new) for text in record["paraphrase_prompts"]),
            neighbourhood=tuple(Probe(text, true) for text in record["neighborhood_prompts"]),
            id=str(record["case_id"]),
        )


def knows(model: EditableModel, request: EditRequest) -> bool:
    """Whether the model's likeliest answer is the old one."""
    probe = Probe(request.text, request.old_target or "")
    seen = observe(model.model, model.tokenizer, [probe])[probe]
    return seen.argmax == seen.target


@dataclass(frozen=True)
class Outcome:
    """What one edit came to."""

    scores: Mapping[str, float]
    probability: float
    seconds: float


def edited(
    model: EditableModel,
    request: EditRequest,
    recipe: Recipe,
    kept: KeyStatistics,
    before: Observations,
) -> Outcome:
    """Make, apply in memory, and score one edit."""
    origin = Origin("sweep/rome", author="benchmark", created="2026-01-01T00:00:00Z")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        patch = make(Path(folder), model, [request], recipe, origin, kept).as_patch()
        seconds = time.perf_counter() - start
        with patched(model.model, patch):
            after = RequestProbes().observe(model.model, model.tokenizer, [request])
    found = {
        score.measure: score.after for score in RequestProbes().compare([request], before, after)
    }
    return Outcome(
        scores={name: found[measure] for name, measure in MEASURES.items()},
        probability=math.exp(-after[Probe(request.text, request.target)].nll),
        seconds=seconds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--layers", default="3,4,5,8")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--skip", type=int, default=0, help="records to leave out at the start")
    parser.add_argument("--statistics", type=Path, help="text; by default the model's own")
    parser.add_argument("--cache", type=Path, default=Path(".cache/statistics"))
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    model = load_model(Checkpoint.open(options.model))
    records = json.loads(options.records.read_text(encoding="utf-8"))[options.skip :]
    known = list(
        islice((each for each in requests_of(records) if knows(model, each)), options.count)
    )
    before = {
        each.id: RequestProbes().observe(model.model, model.tokenizer, [each]) for each in known
    }
    kept = KeyStatistics(options.cache, options.statistics)
    print(f"{len(known)} records that the model knows")
    print("layer", *(f"{name:>6}" for name in (*MEASURES, "p(new)", "s")))
    for layer in map(int, options.layers.split(",")):
        settings = {**dict(pair.split("=", 1) for pair in options.settings), "layer": str(layer)}
        found = [
            edited(model, each, Recipe("rome", settings), kept, before[each.id]) for each in known
        ]
        row = [fmean(outcome.scores[name] for outcome in found) for name in MEASURES]
        row.append(fmean(outcome.probability for outcome in found))
        row.append(median(outcome.seconds for outcome in found))
        print(f"{layer:5}", *(f"{value:6.3f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
