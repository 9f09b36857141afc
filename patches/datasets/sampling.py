"""Which requests of a data set are taken: by seed, the same on every machine."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from ..errors import InputError
from ..requests import EditRequest, Probe


def sample(requests: Sequence[EditRequest], count: int, seed: int) -> tuple[EditRequest, ...]:
    """`count` different requests in a random order that depends on the seed and their ids only.

    They are the first `count` in the order of sha256 of "SEED:ID" in UTF-8: a larger sample begins
    with the smaller one, no matter how the file is ordered or which Python runs.

    Raises InputError if there are fewer.
    """
    if not 1 <= count <= len(requests):
        raise InputError(
            f"a sample of {count} cannot be drawn from {len(requests)} requests",
            hint=f"ask for 1 to {len(requests)}" if requests else None,
        )
    return tuple(sorted(requests, key=lambda request: _rank(seed, request.id))[:count])


def _rank(seed: int, case: str) -> bytes:
    return hashlib.sha256(f"{seed}:{case}".encode()).digest()


def halves(
    requests: Sequence[EditRequest],
) -> tuple[tuple[EditRequest, ...], tuple[EditRequest, ...]]:
    """The first half by position, for evaluation, and what of the rest may be trained on.

    Records about a subject of the first half are left out of the rest, and so is every probe with a
    prompt that is asked there, and a record that this leaves without its neighbourhood: an editor
    trained on the rest has seen nothing of what it is scored on.
    """
    middle = len(requests) // 2
    evaluation = tuple(requests[:middle])
    subjects = {request.subject.casefold() for request in evaluation}
    asked = {prompt for request in evaluation for prompt in _prompts(request)}
    others = (
        request
        for request in requests[middle:]
        if request.subject.casefold() not in subjects and request.text not in asked
    )
    pairs = ((request, _without(asked, request)) for request in others)
    training = (left for whole, left in pairs if left.neighbourhood or not whole.neighbourhood)
    return evaluation, tuple(training)


def _prompts(request: EditRequest) -> Iterator[str]:
    yield request.text
    probes = (*request.paraphrases, *request.neighbourhood, *chain(*request.portability.values()))
    yield from (probe.prompt for probe in probes)


def _without(asked: Collection[str], request: EditRequest) -> EditRequest:
    def kept(probes: Sequence[Probe]) -> tuple[Probe, ...]:
        return tuple(probe for probe in probes if probe.prompt not in asked)

    portability = {kind: kept(probes) for kind, probes in request.portability.items()}
    return replace(
        request,
        paraphrases=kept(request.paraphrases),
        neighbourhood=kept(request.neighbourhood),
        portability={kind: probes for kind, probes in portability.items() if probes},
    )
