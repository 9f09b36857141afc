"""What sets of patches answer, kept line by line so that an experiment can be taken up again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .worker import Workers

Together = tuple[Path, ...]


@dataclass(frozen=True)
class Answer:
    """What a model made of one prompt: log p of the target, a mean over its tokens, and matched."""

    log_prob: float
    matched: bool


class Answers:
    """For each set of patches, applied together: for each of them, the answers to its prompts.

    The rewrite prompt comes first, the paraphrases follow.
    """

    def __init__(self, file: Path, workers: Workers) -> None:
        self._file, self._workers = file, workers
        self._known = _lines(file)

    def ask(self, sets: Sequence[Together]) -> None:
        """Find out what is not known yet."""
        missing = [one for one in dict.fromkeys(sets) if _key(one) not in self._known]
        with self._file.open("a", encoding="utf-8") as file:
            for one, answers in zip(missing, self._workers.answers(missing), strict=True):
                self._known[_key(one)] = answers
                file.write(json.dumps({"patches": _key(one), "answers": answers}) + "\n")
                file.flush()

    def of(self, victim: Path, together: Together) -> list[Answer]:
        """The victim's answers when these patches, the victim one of them, are applied."""
        found = self._known[_key(together)][together.index(victim)]
        return [Answer(log_prob, matched) for log_prob, matched in found]


def _key(together: Together) -> tuple[str, ...]:
    return tuple(folder.name for folder in together)


def _lines(file: Path) -> dict[tuple[str, ...], list[list[tuple[float, bool]]]]:
    if not file.exists():
        return {}
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # torn when a run was stopped
        found[tuple(record["patches"])] = record["answers"]
    return found
