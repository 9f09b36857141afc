"""Whether an edit still gives on another base the scores that it gave on its own."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..evaluation.base import Mean

JUDGED = ("reliability.exact-match", "generalization.exact-match", "locality.exact-match")
"""The measures that are compared."""

TOLERANCE = 0.05
"""By how much a mean may be lower, unless another is asked for."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Loss:
    """A measure whose mean after the edit is lower on the new base than on the old one."""

    measure: str
    old: float
    new: float

    def __str__(self) -> str:
        return f"{self.measure} {self.old:.3f} → {self.new:.3f}"


def losses(
    old: Mapping[str, Mean], new: Mapping[str, Mean], tolerance: float = TOLERANCE
) -> list[Loss]:
    """Each of JUDGED that is lower by more than `tolerance`; one that was not scored is left out.

    Means are those of one suite on both bases, asked about the same requests.
    """
    return [
        Loss(name, old[name].after, new[name].after)
        for name in JUDGED
        if name in old and name in new and new[name].after < old[name].after - tolerance - _ROUNDING
    ]
