"""How long the library takes to answer: cold, and over and over again."""

import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weightpatch.registry import FILE
from weightpatch.registry.registry import Registry

from .crowd import percentile
from .questions import Question, questions
from .synthetic.registries import Synthetic

ROUNDS = 120
SECONDS = 1.0
"""After so many seconds a question is not asked again, once each wording was timed twice."""


@dataclass(frozen=True)
class Answer:
    """Seconds of one question: of the very first call, and of those on a warm registry.

    `found` is how many items the last call gave, None where that is no list.
    """

    verb: str
    title: str
    cold: float
    seconds: tuple[float, ...]
    found: int | None

    @property
    def median(self) -> float:
        """Median seconds on a warm registry."""
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        """Seconds that 99 of 100 calls stay below."""
        return percentile(self.seconds, 0.99)

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return asdict(self)


def ask(synthetic: Synthetic) -> Iterator[Answer]:
    """Ask all questions, each of a registry opened anew whose file is not in the cache."""
    for question in questions(synthetic.population):
        _drop_cache(synthetic.home / FILE)
        with Registry.open(home=synthetic.home, actor="bench") as registry:
            yield _ask(registry, question)


def _ask(registry: Registry, question: Question) -> Answer:
    start = time.perf_counter()
    question.calls[0](registry)
    cold = time.perf_counter() - start
    for call in question.calls:
        call(registry)
    seconds: list[float] = []
    begin = time.perf_counter()
    found: object = None
    while len(seconds) < ROUNDS:
        for call in question.calls:
            start = time.perf_counter()
            found = call(registry)
            seconds.append(time.perf_counter() - start)
        enough = len(seconds) >= 2 * len(question.calls)
        if enough and time.perf_counter() - begin > SECONDS:
            break
    count = len(found) if isinstance(found, list) else None
    return Answer(question.verb, question.title, cold, tuple(seconds), count)


def _drop_cache(path: Path) -> None:
    """Let the system forget what it has read of a file: the next reader waits for the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
