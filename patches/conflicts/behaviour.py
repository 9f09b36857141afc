"""What patches do to each other in a model: the own probes of each, scored alone and together."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from ..checkpoints.models import EditableModel
from ..errors import ConflictFound
from ..evaluation.measures import mean
from ..format.patch import Patch
from ..progress import Progress, silent
from ..requests import EditRequest
from .findings import BEHAVIOUR, CONFLICT, MORE, NOTE, WARNING, Finding
from .interference import interference
from .thresholds import DEFAULTS
from .trials import PROBABILITY, Change, Effect, Trials

TOGETHER = "together"
"""Where a finding is that is about all requests of a patch."""

OTHERS = "the others"
"""In a finding's `patches`, all of a set but the first one, where no single one is to be named."""

TRIALS = 5
"""So many others are tried, one by one, to find out which of a set it is that disturbs a patch."""

MAX_FINDINGS = 1_000
"""Findings about the requests of one patch; one more says how many were left out."""


def behaviour(
    model: EditableModel,
    patches: Sequence[Patch],
    *,
    worse: float = DEFAULTS.worse,
    progress: Progress = silent,
    folder: Path | None = None,
) -> list[Finding]:
    """Score the requests of each patch with it alone and with all of them; the model is left as is.

    A request that is answered as it should alone, and not together, is a conflict; a score that
    falls by more than `worse` is a warning; a note for each patch gives the means. `numbers` are
    `NAME.alone` and `NAME.together`, NAME being reliability, generalization, portability, locality
    (exact matches under teacher forcing, as the suite `requests` defines them) or probability, the
    geometric mean over the tokens of the target on the rewrite prompt. `patches` of a finding are
    first the one whose request it is, then the one that disturbs it: of more than two, the first
    that does so alone of the TRIALS likeliest, or OTHERS.

    With a `folder` the base's answers are kept there, and a run that was stopped is taken up where
    it was. Raises BaseMismatch, RequestRefused, NonFinite, LimitExceeded, and what attaching does.
    """
    trials = Trials(model, _all_requests(patches), progress, folder)
    try:
        together = trials.observe(patches, _all_requests(patches), "together")
    except ConflictFound as error:
        sentence = f"they cannot be applied together: {error.why or error.message}"
        first, *others = patches
        return [Finding(BEHAVIOUR, CONFLICT, _pair(first, others), TOGETHER, sentence)]
    effects = []
    for number, patch in enumerate(patches, 1):
        alone = trials.observe([patch], patch.requests, f"{number} of {len(patches)} alone")
        effects.append(trials.effects(patch.requests, alone, together))
    culprits = _Culprits(trials, patches, worse)
    found = list(
        chain.from_iterable(
            _findings(patch, patches, own, worse, culprits)
            for patch, own in zip(patches, effects, strict=True)
        )
    )
    trials.forget()
    return found


class _Culprits:
    """Which of the other patches disturb a request by themselves."""

    def __init__(self, trials: Trials, patches: Sequence[Patch], worse: float) -> None:
        self._trials, self._patches, self._worse = trials, patches, worse

    def of(self, victim: Patch, disturbed: Sequence[Effect]) -> dict[str, list[Patch]]:
        """For each disturbed request's id those that suffice, of the TRIALS likeliest."""
        found: dict[str, list[Patch]] = {effect.request.id: [] for effect in disturbed}
        others = [patch for patch in self._patches if patch is not victim]
        if len(others) == 1 or not disturbed:
            return found
        requests = [effect.request for effect in disturbed]
        alone = self._trials.observe([victim], requests, "alone")
        others.sort(key=lambda other: _moved(other, victim), reverse=True)
        for other in others[:TRIALS]:
            pair = self._trials.observe([victim, other], requests, "in pairs")
            for effect in self._trials.effects(requests, alone, pair):
                if effect.severity(self._worse):
                    found[effect.request.id].append(other)
        return found


def _findings(
    victim: Patch,
    patches: Sequence[Patch],
    effects: Sequence[Effect],
    worse: float,
    culprits: _Culprits,
) -> Iterator[Finding]:
    others = [patch for patch in patches if patch is not victim]
    graded = [(effect, severity) for effect in effects if (severity := effect.severity(worse))]
    graded.sort(key=lambda one: [CONFLICT, WARNING].index(one[1]))
    shown = graded[:MAX_FINDINGS]
    found = culprits.of(victim, [effect for effect, _ in shown])
    for effect, severity in shown:
        guilty = found[effect.request.id]
        sentence = _sentence(effect, severity, worse)
        if guilty:
            sentence += f"; {' or '.join(one.label for one in guilty)} alone suffices"
        yield Finding(
            BEHAVIOUR,
            severity,
            _pair(victim, guilty[:1] or others),
            effect.request.subject,
            sentence,
            _numbers(effect.changes),
        )
    everyone = _pair(victim, others)
    if left := len(graded) - len(shown):
        sentence = f"{left} more requests got worse"
        yield Finding(BEHAVIOUR, graded[-1][1], everyone, MORE, sentence, {MORE: left})
    means = _means(effects)
    sentence = f"alone → together: {_listed(means)}"
    yield Finding(BEHAVIOUR, NOTE, everyone, TOGETHER, sentence, _numbers(means))


def _sentence(effect: Effect, severity: str, worse: float) -> str:
    request = effect.request
    sentence = f"{request.text!r} → {request.target!r}"
    if severity == CONFLICT:
        alone, together = effect.changes[PROBABILITY]
        return (
            f"{sentence} works alone, fails together: {_listed({PROBABILITY: (alone, together)})}"
        )
    return f"{sentence} is worse together: {_listed(effect.fallen(worse))}"


def _listed(changes: Mapping[str, Change]) -> str:
    return ", ".join(f"{name} {one:.2f} → {other:.2f}" for name, (one, other) in changes.items())


def _numbers(changes: Mapping[str, Change]) -> dict[str, float]:
    return {
        f"{name}.{which}": value
        for name, change in changes.items()
        for which, value in zip(("alone", TOGETHER), change, strict=True)
    }


def _means(effects: Sequence[Effect]) -> dict[str, Change]:
    """Each score's mean over the requests that have it."""
    names = dict.fromkeys(name for effect in effects for name in effect.changes)
    return {
        name: (mean([one for one, _ in found]), mean([other for _, other in found]))
        for name in names
        if (found := [effect.changes[name] for effect in effects if name in effect.changes])
    }


def _all_requests(patches: Sequence[Patch]) -> list[EditRequest]:
    return [request for patch in patches for request in patch.requests]


def _moved(edit: Patch, victim: Patch) -> float:
    """How far the weights say that `edit` moves what `victim` wrote; 0 where they say nothing."""
    common = set(edit.operations) & set(victim.operations)
    return max((interference(edit, victim, tensor) or 0.0 for tensor in common), default=0.0)


def _pair(victim: Patch, others: Sequence[Patch]) -> tuple[str, str]:
    return victim.label, others[0].label if len(others) == 1 else OTHERS
