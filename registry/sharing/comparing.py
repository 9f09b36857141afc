"""A version beside the one that is to take its place: what clashes, and what came of each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...patches.conflicts.check import Report, examine
from ...patches.conflicts.findings import FACTS, WEIGHTS
from ...patches.conflicts.sentences import twice
from ...patches.errors import PluginMissing
from ...patches.evaluation.base import Mean
from ...patches.format.patch import Patch
from ...patches.format.proposal import Compared
from ...patches.progress import Progress, silent
from ..attestations import Attestation
from .exchange import evaluations_of

_WHOLE = "delta"
"""Where a finding is that is about two deltas as a whole."""


@dataclass(frozen=True)
class Measured:
    """An evaluation that came with a version, as a card or a page speaks of it."""

    suite: str
    suite_digest: str
    base: str
    means: Mapping[str, Mean]

    @classmethod
    def of(cls, attestation: Attestation) -> "Measured":
        """What an attestation says."""
        one = attestation.evaluation
        return cls(one.suite, one.suite_digest, attestation.base, one.means())


def compared(current: Patch, proposed: Patch, progress: Progress = silent) -> Compared:
    """What is found between a version and the one that is to take its place.

    A fact that both state and a delta that both hold are left out: they matter only where both are
    applied. That one cannot be read for want of a plugin is said. Raises InputError for files that
    cannot be read for another reason, and OSError.
    """
    try:
        report = examine([current, proposed], progress=progress)
    except PluginMissing as error:
        return Compared(Report([]), unread=error.message)
    kept = {twice(request, request) for request in current.requests}
    findings = [
        one
        for one in report.findings
        if not (one.level == FACTS and one.sentence in kept)
        and not (one.level == WEIGHTS and one.where == _WHOLE)
    ]
    return Compared(replace(report, findings=findings))


def measured(patch: Patch, attestations: Mapping[str, bytes]) -> list[Measured]:
    """The evaluations of a version that came with it."""
    return [Measured.of(one) for one in evaluations_of(patch, attestations)[0]]
