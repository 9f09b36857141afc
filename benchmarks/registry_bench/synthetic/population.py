"""Which version belongs to what: drawn once for a size, from a fixed seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import words

SEED = 20260303
NAMESPACES = 100
AUTHORS = 500
BIG_PATCHES = 10
"""Patches with a hundredth of all versions each: with 10,000 of a million."""

BASES = (
    ("HuggingFaceTB/SmolLM2-135M-Instruct", 0.9),
    ("openai-community/gpt2-xl", 0.099),
    ("EleutherAI/gpt-j-6b", 0.001),
)
LAYERS = 30

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Population:
    """For each version (by its place, from 0) the numbers of what it belongs to.

    `number` is its number within its patch. `common` is a subject out of `words.COMMON`, or -1.
    `scored` says who has an evaluation, and `locality` what came of it.
    """

    patch: Numbers
    number: Numbers
    base: Numbers
    layer: Numbers
    author: Numbers
    method: Numbers
    common: Numbers
    relation: Numbers
    target: Numbers
    ticket: Numbers
    scored: NDArray[np.bool_]
    locality: NDArray[np.float64]
    namespaces: Sequence[int]
    """The namespace of each patch."""

    @property
    def size(self) -> int:
        """How many versions there are."""
        return len(self.patch)

    def subject(self, place: int) -> str:
        """What the first request of a version is about."""
        common = int(self.common[place])
        return words.person(place) if common < 0 else words.COMMON[common]

    def patch_name(self, patch: int) -> str:
        """`namespace/name` of a patch."""
        return f"{words.namespace(self.namespaces[patch])}/{words.patch(patch)}"

    def label(self, place: int) -> str:
        """`namespace/name@number` of a version."""
        return f"{self.patch_name(int(self.patch[place]))}@{self.number[place]}"


def draw(size: int) -> Population:
    """The population of a registry with so many versions."""
    random = np.random.default_rng([SEED, size])
    patch = _patches(random, size)
    shares = [share for _, share in BASES]
    return Population(
        patch=patch,
        number=_numbers(patch),
        base=random.choice(len(BASES), size, p=shares),
        layer=random.integers(0, LAYERS, size),
        author=_skewed(random, AUTHORS, size),
        method=_skewed(random, len(words.METHODS), size),
        common=np.where(random.random(size) < 0.1, _skewed(random, len(words.COMMON), size), -1),
        relation=random.integers(0, len(words.RELATIONS), size),
        target=random.integers(0, len(words.TARGETS), size),
        ticket=random.integers(0, size, size),
        scored=random.random(size) < 0.2,
        locality=np.round(random.beta(8, 1, size), 4),
        namespaces=_skewed(random, NAMESPACES, int(patch.max()) + 1).tolist(),
    )


def _skewed(random: np.random.Generator, kinds: int, size: int) -> Numbers:
    """Numbers below `kinds`, the small ones most."""
    return np.asarray(kinds * random.random(size) ** 2, dtype=np.int64)


def _patches(random: np.random.Generator, size: int) -> Numbers:
    """The big patches share a tenth of all versions; of the others have most a few."""
    others = BIG_PATCHES + _skewed(random, size // 5, size)
    big = random.permutation(size)[: size // 10]
    others[big] = np.arange(len(big)) % BIG_PATCHES
    _, dense = np.unique(others, return_inverse=True)
    return np.asarray(dense, dtype=np.int64)


def _numbers(patch: Numbers) -> Numbers:
    """1, 2, 3 … within each patch, in the order in which its versions came."""
    order = np.argsort(patch, kind="stable")
    ranked = patch[order]
    starts: Any = np.r_[0, np.flatnonzero(np.diff(ranked)) + 1]
    lengths = np.diff(np.r_[starts, len(patch)])
    numbers = np.empty(len(patch), dtype=np.int64)
    numbers[order] = np.arange(len(patch)) - np.repeat(starts, lengths) + 1
    return numbers
