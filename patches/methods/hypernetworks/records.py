"""What an editor is trained on: requests with the rows that show whether an edit works."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from ...errors import RequestRefused
from ...evaluation.encoding import encode
from ...progress import Progress
from ...requests import EditRequest, Probe
from .settings import TrainingHyperparameters
from .tail import Row, Tail

_RECORDS_AT_ONCE = 16
_LONGEST = 256


class Record(NamedTuple):
    """A request's own row, rows that it should carry over to, and rows that it should not touch."""

    request: EditRequest
    prompt: Row
    paraphrases: tuple[Row, ...]
    neighbours: tuple[Row, ...]


def prepare(
    tail: Tail,
    requests: Sequence[EditRequest],
    settings: TrainingHyperparameters,
    generator: torch.Generator,
    progress: Progress,
) -> list[Record]:
    """Run the layers below the edited ones on all that is used of the requests, once.

    Paraphrases and neighbours are drawn from those that a request has. Raises RequestRefused for a
    request without a neighbour, or with texts too long to train on.
    """
    records: list[Record] = []
    for start in range(0, len(requests), _RECORDS_AT_ONCE):
        progress("records", start, len(requests))
        some = requests[start : start + _RECORDS_AT_ONCE]
        records += _prepared(tail, some, settings, generator)
    progress("records", len(requests), len(requests))
    return records


def _prepared(
    tail: Tail,
    requests: Sequence[EditRequest],
    settings: TrainingHyperparameters,
    generator: torch.Generator,
) -> list[Record]:
    probes: list[Probe] = []
    counts: list[tuple[int, int]] = []
    for request in requests:
        if not request.neighbourhood:
            raise RequestRefused(
                f"request {request.id} has no neighbourhood to train on",
                why="an editor learns from it what it must leave alone",
                hint="give each request one neighbourhood probe or more",
            )
        same = _draw(request.paraphrases, settings.paraphrases, generator)
        others = _draw(request.neighbourhood, settings.neighbours, generator)
        probes += [Probe(request.text, request.target), *same, *others]
        counts.append((len(same), len(others)))
    forced = encode(tail.model.tokenizer, probes)
    for probe, item in zip(probes, forced, strict=True):
        if len(item.inputs) > _LONGEST:
            raise RequestRefused(
                f"{probe.prompt[:60]!r}… is too long to train on",
                why=f"with its answer it has {len(item.ids)} tokens, more than {_LONGEST}",
            )
    rows = iter(tail.rows(forced))
    return [
        Record(
            request,
            next(rows),
            tuple(next(rows) for _ in range(same)),
            tuple(next(rows) for _ in range(others)),
        )
        for request, (same, others) in zip(requests, counts, strict=True)
    ]


def _draw(probes: Sequence[Probe], count: int, generator: torch.Generator) -> list[Probe]:
    chosen = torch.randperm(len(probes), generator=generator)[:count].sort().values
    return [probes[index] for index in chosen.tolist()]
