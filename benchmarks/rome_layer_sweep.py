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
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from weightpatch.patches.checkpoint import Checkpoint
from weightpatch.patches.draft import Origin, own_terms, write_draft
from weightpatch.patches.evaluation.base import evaluate
from weightpatch.patches.evaluation.requests import RequestProbes
from weightpatch.patches.evaluation.teacher_forcing import Observations, observe
from weightpatch.patches.live import patched
from weightpatch.patches.make import Recipe, make
from weightpatch.patches.methods.key_statistics import KeyStatistics
from weightpatch.patches.models import EditableModel, load_model
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
