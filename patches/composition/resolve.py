"""`resolve`: edits that kept their keys are solved for once more, all at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ..conflicts.orientation import KEYS, RESIDUALS
from ..draft import OWN
from ..errors import ConflictFound
from ..format.patch import Patch
from ..methods.checks import LARGEST, require
from ..methods.factors import stored_sum
from ..operations.lowrank import LowRank
from ..terms import Term, sum_of
from .auxiliary import stacked
from .base import Merged, Work
from .keyed import KeyedEdit, keyed_edits
from .scratch import single
from .solving import Solution, solve

if TYPE_CHECKING:
    from ..operations.base import Array

SAME_KEY = 0.95
"""Keys whose cosine is at least this are said to be nearly the same."""


@dataclass(frozen=True, kw_only=True)
class ResolveSettings:
    """What the re-solve can be told; raises RequestRefused for numbers outside their range."""

    ridge: float = 1e-6
    """How much directions that the keys hardly tell apart are damped: λ, against the largest
    singular value squared; 0 not at all."""
    tolerance: float = 0.1
    """How far from its value, as part of its length, a key may stay before two edits are called
    contradictory."""
    values: Literal["effects", "residuals"] = "effects"
    """What each key should get: what its own patch alone does there, or the residual that it kept,
    as for a sum that is to be solved again."""

    def __post_init__(self) -> None:
        require(0 <= self.ridge <= 1, "ridge is 0 to 1")
        require(0 < self.tolerance <= LARGEST, f"tolerance is above 0 and at most {LARGEST:g}")


class Resolve:
    """The merge `resolve`."""

    name: ClassVar[str] = "resolve"
    title: ClassVar[str] = "locate-and-edit patches solved for again, all keys at once"
    weighted: ClassVar[bool] = False
    Settings: ClassVar[type[ResolveSettings]] = ResolveSettings

    def merge(self, work: Work, settings: ResolveSettings) -> Merged:
        """Solve each tensor that several members change; one that one changes stays as it is.

        A member given alone is solved for again. Raises Unsupported for a member without keys,
        ConflictFound for edits that want different values at nearly the same key.
        """
        terms: dict[str, Sequence[Term]] = dict(sum_of(work.members))
        solved: dict[str, Array] = {}
        found: dict[str, Any] = {}
        shared = [name for name in terms if _is_shared(work.members, name)]
        for done, tensor in enumerate(shared):
            work.progress("solving", done, len(shared))
            patches = [patch for patch in work.members if tensor in patch.operations]
            edits, is_transposed = keyed_edits(patches, tensor)
            solution = solve(
                edits, ridge=settings.ridge, by_residuals=settings.values == "residuals"
            )
            _require_solved(tensor, edits, solution, settings.tolerance)
            operations = stored_sum(solution.a.T, solution.b, transposed=is_transposed)
            terms[tensor] = [Term(OWN, index, each) for index, each in enumerate(operations)]
            for what, array in ((KEYS, solution.keys), (RESIDUALS, solution.values)):
                key = f"{tensor}::aux.{what}"
                solved[key] = single(array, key)
            found[tensor] = _report(solution, operations)
        auxiliary, left_out = stacked(work.members, instead=solved)
        return Merged(terms, auxiliary, found={"solved": found, **left_out})


def _is_shared(members: Sequence[Patch], tensor: str) -> bool:
    return len(members) == 1 or sum(tensor in patch.operations for patch in members) > 1


def _report(solution: Solution, operations: Sequence[LowRank]) -> dict[str, Any]:
    return {
        "keys": len(solution.keys),
        "rank": sum(operation.size for operation in operations),
        "condition": solution.condition,
        "miss_of_sum": float(solution.sum_misses.max()),
        "miss": float(solution.misses.max()),
        "growth": solution.growth,
    }


def _require_solved(
    tensor: str, edits: Sequence[KeyedEdit], solution: Solution, tolerance: float
) -> None:
    worst = int(solution.misses.argmax())
    if solution.misses[worst] <= tolerance:
        return
    owners = [edit.label for edit in edits for _ in edit.keys]
    unit = solution.keys / np.maximum(np.linalg.norm(solution.keys, axis=1), 1e-30)[:, None]
    cosines = unit @ unit[worst]
    cosines[worst] = -2.0
    nearest = int(cosines.argmax())
    missed = f"{owners[worst]} would miss its value by {solution.misses[worst]:.2g} of its length"
    if cosines[nearest] < SAME_KEY:
        raise ConflictFound(
            f"the edits on {tensor} cannot be solved for together",
            why=f"{missed}: the directions that they read do not tell their keys apart",
            hint="set a smaller ridge, a larger tolerance, or compose fewer of them",
        )
    raise ConflictFound(
        f"{owners[worst]} and {owners[nearest]} contradict each other on {tensor}",
        why=f"they want different values at nearly the same key (cosine {cosines[nearest]:.4f}); "
        f"{missed}",
        hint="leave one of them out, or set a larger tolerance to keep the best compromise",
    )
