"""What a worker found, one JSON line a run, so that a survey can be stopped and taken up again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SINGLE, BATCH, SEQUENCE = "single", "batch", "sequence"


@dataclass(frozen=True)
class Run:
    """One edit of one or more requests: `case` is a request's id, or how many there were.

    `scores` are means by measure, before and after; `cpu` and `wall` are seconds of making the
    edit, `size` bytes of the patch's files, `memory` the peak of the process so far, in bytes.
    """

    method: str
    settings: Mapping[str, Any]
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
        """What tells a run of one method from its others."""
        return (self.dataset, self.way, self.case)


class Results:
    """The runs of one method in one file; those with other settings do not count."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.runs = {
            run.key: run for run in read(path) if json.dumps(run.settings) == json.dumps(settings)
        }

    def add(self, run: Run) -> None:
        """Keep a run, on disk too."""
        self.runs[run.key] = run
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(run)) + "\n")


def read(path: Path) -> list[Run]:
    """All whole lines of a file, none if there is no file."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(Run(**json.loads(line)))
        except ValueError:
            continue  # torn when a run was stopped
    return found
