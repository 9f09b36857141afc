"""Which requests of a data set are taken: by seed, the same on every machine."""

import hashlib
from collections.abc import Sequence

from ..errors import InputError
from ..requests import EditRequest


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
    """The first half by position, for evaluation, and the rest, for training editors.

    An editor that was trained on the rest has seen nothing of what it is scored on.
    """
    middle = len(requests) // 2
    return tuple(requests[:middle]), tuple(requests[middle:])
