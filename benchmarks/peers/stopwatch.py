"""Seconds of named steps, each done many times."""

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Stopwatch:
    """Takes the time of `with watch(name)` blocks."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time one step."""
        start = time.perf_counter()
        yield
        self._seconds.setdefault(name, []).append(time.perf_counter() - start)

    def write(self, path: Path) -> None:
        """Write the median of each step as JSON."""
        medians = {name: statistics.median(found) for name, found in self._seconds.items()}
        path.write_text(json.dumps(medians))
