"""What can be learnt of a remote without pulling: what a search finds, what one manifest says."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...patches.checkpoints.checkpoint import Checkpoint
from ...patches.errors import WeightpatchError
from ...patches.evaluation.conditions import Condition
from ...patches.format.manifest import Manifest


@dataclass(frozen=True)
class Wanted:
    """What a patch must be to be found: each of `words` is a part of its name.

    `author` is its namespace, `base` the name of a base, or a checkpoint that it fits. All of
    `scores` are met by what the publisher says.
    """

    words: tuple[str, ...] = ()
    base: str | Checkpoint | None = None
    method: str | None = None
    author: str | None = None
    scores: tuple[Condition, ...] = ()

    def has_words(self, name: str) -> bool:
        """Whether a patch of this name has all words in it, in capitals or not."""
        return all(word.lower() in name.lower() for word in self.words)

    def has_scores(self, scores: Mapping[str, float]) -> bool:
        """Whether these means, by measure, meet all conditions."""
        return all(
            each.measure in scores and each.holds(scores[each.measure]) for each in self.scores
        )


@dataclass(frozen=True)
class Published:
    """A patch as its publisher describes it.

    `scores` are means after the edit, by measure, of the newest version; `versions` are in order.
    `changed` is a time as in 2026-01-31T12:00:00Z.
    """

    name: str
    versions: tuple[int, ...]
    method: str | None
    bases: tuple[str, ...]
    scores: Mapping[str, float]
    changed: str | None
    private: bool = False
    gated: bool = False


@dataclass(frozen=True)
class Unanswered:
    """A patch of which a remote could not say which versions it has."""

    name: str
    remote: str
    error: WeightpatchError | OSError


@dataclass(frozen=True)
class Found:
    """Patches, the last changed first.

    `left_out` counts what passes for a patch and can be none; `more` says that there are others, or
    that not all was looked at.
    """

    patches: tuple[Published, ...]
    unanswered: tuple[Unanswered, ...]
    left_out: int
    more: bool


@dataclass(frozen=True)
class Glimpse:
    """A version by its manifest alone, which has the digest; no other file of it was fetched.

    `location` is what to pull to get this very version, `revision` the commit that it lies at.
    `versions` are all that are there. `broken` names files that are not there as the manifest
    promises, so that a pull will be refused.
    """

    manifest: Manifest
    digest: str
    location: str
    revision: str | None
    versions: tuple[int, ...]
    attestations: int
    broken: tuple[str, ...]
