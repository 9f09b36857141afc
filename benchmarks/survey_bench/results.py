"""What a worker found, one JSON line a run, so that a survey can be stopped and taken up again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SINGLE, BATCH, SEQUENCE, ONCE = "single", "batch", "sequence", "once"


@dataclass(frozen=True)
class Run:
    """One edit of one or more requests: `case` is a request's id, or how many there were.

    `row` is one of ROWS; `made_with` tells runs of other models, settings or versions apart.
    `scores` are means by measure, before and after; `cpu` and `wall` are seconds of making the
    edit, `size` bytes of the patch's files, `memory` the peak of the process so far, in bytes. What
    is done ONCE for a base, statistics or training, is a run without scores.
    """

    row: str
    made_with: Mapping[str, Any]
    dataset: str
    way: str
    case: str
    scores: Mapping[str, tuple[float | None, float]]
    cpu: float
    wall: float
    size: int
    memory: int
    refused: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells a run of one row from its others."""
        return (self.dataset, self.way, self.case)


class Results:
    """The runs of one row in one file, of those made with the same things, the last of each key."""

    def __init__(self, path: Path, made_with: Mapping[str, Any]) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.runs = {run.key: run for run in _lines(path) if run.made_with == made_with}

    def add(self, run: Run) -> None:
        """Keep a run, on disk too."""
        self.runs[run.key] = run
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(run)) + "\n")


def newest(path: Path) -> list[Run]:
    """The runs made with what the last line was made with, in the order of their first line."""
    lines = _lines(path)
    if not lines:
        return []
    return list(Results(path, lines[-1].made_with).runs.values())


def _lines(path: Path) -> list[Run]:
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(Run(**json.loads(line)))
        except (ValueError, TypeError):
            continue  # torn when a run was stopped, or of another form
    return found
