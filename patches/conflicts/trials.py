"""A model asked about requests with one or more patches in place, and how the answers changed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..checkpoints.models import EditableModel
from ..digests import sha256
from ..evaluation.journal import Journal, open_journal
from ..evaluation.requests import RequestProbes
from ..evaluation.teacher_forcing import Observations
from ..format.patch import Patch
from ..live import patched
from ..progress import Progress
from ..requests import EditRequest, Probe
from .findings import CONFLICT, WARNING

RELIABILITY, PROBABILITY = "reliability", "probability"
_MEASURES: Mapping[str, str] = {
    RELIABILITY: "reliability.exact-match",
    "generalization": "generalization.exact-match",
    "portability": "portability.exact-match",
    "locality": "locality.exact-match",
}

Change = tuple[float, float]
"""A score with the patch alone, and with all of them together."""


@dataclass(frozen=True)
class Effect:
    """How one request of a patch fares; `changes` by name, the target's probability among them."""

    request: EditRequest
    changes: Mapping[str, Change]

    def severity(self, worse: float) -> str | None:
        """CONFLICT if it works alone and fails together, WARNING if anything got worse."""
        alone, together = self.changes[RELIABILITY]
        if together < alone:
            return CONFLICT
        return WARNING if self.fallen(worse) else None

    def fallen(self, worse: float) -> dict[str, Change]:
        """What fell by more than `worse`."""
        return {name: one for name, one in self.changes.items() if one[0] - one[1] > worse}


class Trials:
    """A model that is asked with different patches in place; the base is asked once."""

    def __init__(
        self,
        model: EditableModel,
        requests: Sequence[EditRequest],
        progress: Progress,
        folder: Path | None,
    ) -> None:
        self._model, self._progress, self._folder = model, progress, folder
        self._suite = RequestProbes()
        self._journals: list[Journal] = []
        self._base = self._ask(requests, "the base", self._journal(None))

    def observe(
        self, patches: Sequence[Patch], requests: Sequence[EditRequest], what: str
    ) -> Observations:
        """What the model answers to the probes of `requests` with `patches` applied."""
        journal = self._journal(sha256("+".join(sorted(p.digest for p in patches)).encode()))
        self._journals.append(journal)
        with patched(self._model.model, *patches):
            return self._ask(requests, what, journal)

    def effects(
        self, requests: Sequence[EditRequest], alone: Observations, together: Observations
    ) -> list[Effect]:
        """Each request with its scores in two observations."""
        before, after = (
            {
                (score.case, score.measure): score.after
                for score in self._suite.compare(requests, self._base, seen)
            }
            for seen in (alone, together)
        )
        return [
            Effect(
                request,
                {
                    PROBABILITY: (_probability(request, alone), _probability(request, together)),
                    **{
                        name: (before[request.id, measure], after[request.id, measure])
                        for name, measure in _MEASURES.items()
                        if (request.id, measure) in before
                    },
                },
            )
            for request in requests
        ]

    def forget(self) -> None:
        """Keep no answers but the base's."""
        for journal in self._journals:
            journal.forget()

    def _ask(self, requests: Sequence[EditRequest], what: str, journal: Journal) -> Observations:
        def told(phase: str, done: int, total: int | None) -> None:
            self._progress(f"{phase} {what}", done, total)

        model = self._model
        return self._suite.observe(
            model.model, model.tokenizer, requests, progress=told, journal=journal
        )

    def _journal(self, edited: str | None) -> Journal:
        return open_journal(self._folder, self._model, self._suite.name, patch=edited)


def _probability(request: EditRequest, seen: Observations) -> float:
    return math.exp(-seen[Probe(request.text, request.target)].nll)
