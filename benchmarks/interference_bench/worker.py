"""What one process does: make edits, and ask the edited model; everything is kept in a folder."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import torch
from weightpatch.patches import plugins
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.models import EditableModel, load_model
from weightpatch.patches.draft import Origin
from weightpatch.patches.errors import WeightpatchError
from weightpatch.patches.evaluation.teacher_forcing import observe
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.live import patched
from weightpatch.patches.make import Recipe, make
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.requests import EditRequest, Probe

REFUSED = "refused"
Found = list[list[tuple[float, bool]]]
Result = TypeVar("Result")


class Worker:
    """A model, a method, and the folder where its edits lie."""

    def __init__(self, base: Path, method: str, work: Path) -> None:
        torch.set_num_threads(1)
        self.model: EditableModel = load_model(Checkpoint.open(base))
        self.method = method
        kind = plugins.load("methods", method)
        made_with = [
            self.model.checkpoint.fingerprint,
            method,
            kind.version,
            asdict(kind.defaults(self.model)),
        ]
        key = hashlib.sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()
        self.folder = work / f"{method}-{key[:12]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resources = Resources(KeyStatistics(work / "statistics"))

    def edit(self, request: EditRequest) -> Path:
        """The folder of the patch that carries out a request, made unless it is there.

        One that cannot be made has a file REFUSED in its place, which says why.
        """
        text = json.dumps(request.to_json(), sort_keys=True)
        target = self.folder / hashlib.sha256(text.encode()).hexdigest()[:24]
        if target.exists():
            return target
        made = Path(tempfile.mkdtemp(dir=self.folder, prefix=".making-"))
        try:
            origin = Origin("bench/edit", author="benchmark", created="2026-01-01T00:00:00Z")
            recipe = Recipe(self.method)
            make(made, self.model, [request], recipe, origin, self._resources).as_patch()
        except WeightpatchError as error:
            shutil.rmtree(made)
            made.mkdir()
            (made / REFUSED).write_text(str(error))
        made.replace(target)
        return target

    def answers(self, patches: Sequence[Path]) -> Found:
        """With all of them applied: for each, its own rewrite prompt, then its paraphrases.

        Of a prompt, the mean over the target's tokens of log p, and whether each is the likeliest.
        """
        opened = [Patch.open(folder) for folder in patches]
        asked = [_probes(patch.requests[0]) for patch in opened]
        with patched(self.model.model, *opened):
            seen = observe(
                self.model.model, self.model.tokenizer, [probe for one in asked for probe in one]
            )
        return [
            [(-seen[probe].nll, seen[probe].argmax == seen[probe].target) for probe in probes]
            for probes in asked
        ]


def _probes(request: EditRequest) -> list[Probe]:
    return [Probe(request.text, request.target), *request.paraphrases]


_here: list[Worker] = []
"""What a process of the pool works with."""


def _start(base: Path, method: str, work: Path) -> None:
    _here.append(Worker(base, method, work))


def _edit(request: EditRequest) -> Path:
    return _here[0].edit(request)


def _answers(patches: Sequence[Path]) -> Found:
    return _here[0].answers(patches)


class Workers:
    """As many processes as there are jobs, each with a model of its own on one thread."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def edits(self, requests: Sequence[EditRequest]) -> list[Path]:
        """The folder of each request's patch."""
        return list(_told("edits", self._pool.map(_edit, requests), len(requests)))

    def answers(self, sets: Sequence[Sequence[Path]]) -> Iterable[Found]:
        """What each set of patches, applied together, answers."""
        return _told("sets", self._pool.map(_answers, sets), len(sets))


@contextmanager
def workers(base: Path, method: str, work: Path, jobs: int) -> Iterator[Workers]:
    """Workers for the length of a block."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start, (base, method, work)) as pool:
        yield Workers(pool)


def _told(what: str, found: Iterable[Result], total: int) -> Iterator[Result]:
    for number, one in enumerate(found, 1):
        if number % 20 == 0 or number == total:
            print(f"{what}: {number} of {total}", flush=True)
        yield one
