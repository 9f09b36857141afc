"""What was found about the registry, as tables in Markdown and as JSON."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.document import machine, write_between
from harness.promises import Promise

from .databases import DIALECTS, TITLES
from .ledger import TITLES as LEDGER_TITLES
from .ledger import Reading
from .promises import promises
from .publishers import FLOOR, MLFLOW, OURS, Published
from .timing import Answer

LIBRARIES = ("sqlalchemy", "psycopg", "mlflow-skinny")
CONTENDERS = {
    FLOOR: "floor: three files and one row",
    OURS: "**weightpatch publish**",
    MLFLOW: "MLflow create_model_version ²",
}


@dataclass
class Report:
    """All that was measured; answers and bytes of the database by the number of versions."""

    cpus: int
    postgresql: str | None = None
    published: list[Published] = field(default_factory=list)
    answers: dict[int, list[Answer]] = field(default_factory=dict)
    bytes: dict[int, int] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)

    @property
    def promises(self) -> list[Promise]:
        """What must hold, as far as it was measured."""
        return list(promises(self.published, self.answers, self.readings))

    def markdown(self) -> str:
        """The tables."""
        parts = [self._machine()]
        if self.published:
            parts.append("### Publishing at once\n\n" + "\n\n".join(self._publishing()))
        if self.answers:
            parts.append("### Asking\n\n" + self._asking())
        if self.readings:
            parts.append("### The ledger\n\n" + self._ledger())
        if self.promises:
            parts.append("### What the registry must keep\n\n" + self._kept())
        return "\n\n".join(parts) + "\n"

    def write_into(self, path: Path) -> None:
        """Replace what stands between the two markers of a document."""
        write_between(path, "registry.py", self.markdown())

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "machine": self._machine(),
            "published": [asdict(one) for one in self.published],
            "answers": {
                size: [answer.to_json() for answer in answers]
                for size, answers in self.answers.items()
            },
            "bytes": self.bytes,
            "ledger": [asdict(reading) for reading in self.readings],
        }

    def _machine(self) -> str:
        servers = [f"SQLite {sqlite3.sqlite_version}"]
        if self.postgresql:
            servers.append(f"PostgreSQL {self.postgresql}")
        return machine(self.cpus, LIBRARIES, others=servers)

    def _publishing(self) -> Iterator[str]:
        for dialect in DIALECTS:
            rows = [one for one in self.published if one.dialect == dialect]
            head = ("a second", "median ms", "p99 ms", "worst ms", "errors", "gaps", "lost")
            yield "\n".join(
                [
                    f"| {TITLES[dialect]} | processes | {' | '.join(head)} |",
                    "|---|" + "--:|" * (len(head) + 1),
                    *map(_publishing_row, rows),
                ]
            )

    def _asking(self) -> str:
        sizes = sorted(self.answers)
        columns = [f"{size:,}" for size in sizes]
        lines = [
            f"| median (p99; first, cold) ms of a registry with | {' | '.join(columns)} | growth |",
            "|---|" + "--:|" * (len(sizes) + 1),
        ]
        for same in zip(*(self.answers[size] for size in sizes), strict=True):
            growth = f"{same[-1].median / same[0].median:.1f}" if len(sizes) > 1 else ""
            cells = " | ".join(map(_times, same))
            lines.append(f"| {same[0].verb}: {same[0].title} | {cells} | {growth} |")
        megabytes = [f"{self.bytes[size] / 1e6:,.0f}" for size in sizes]
        growth = f"{self.bytes[sizes[-1]] / self.bytes[sizes[0]]:.1f}" if len(sizes) > 1 else ""
        lines.append(f"| the database, MB | {' | '.join(megabytes)} | {growth} |")
        return "\n".join(lines)

    def _ledger(self) -> str:
        lines = ["| | entries | seconds | memory MB |", "|---|--:|--:|--:|"]
        lines += [
            f"| {LEDGER_TITLES[one.what]} | {one.entries:,} | {one.seconds:.1f} "
            f"| {one.anonymous / 1e6:.0f} |"
            for one in self.readings
        ]
        return "\n".join(lines)

    def _kept(self) -> str:
        lines = ["| | limit | found | |", "|---|--:|--:|---|"]
        for promise in self.promises:
            verdict = "kept" if promise.kept else "**missed**"
            lines.append(f"| {promise.text} | {promise.limit} | {promise.found} | {verdict} |")
        return "\n".join(lines)


def _publishing_row(one: Published) -> str:
    done = one.done
    head = f"| {CONTENDERS[one.contender]} | {one.processes} "
    if not done.seconds:
        return f"{head}| 0 | | | | {len(done.errors)} | {_shown(one.gaps)} | {_shown(one.lost)} |"
    milliseconds = (done.median, done.p99, done.worst)
    times = " | ".join(f"{seconds * 1e3:,.1f}" for seconds in milliseconds)
    counts = " | ".join(map(_shown, (len(done.errors), one.gaps, one.lost)))
    return f"{head}| {done.rate:,.0f} | {times} | {counts} |"


def _shown(count: int | None) -> str:
    return "" if count is None else str(count)


def _times(answer: Answer) -> str:
    p99, cold = answer.p99 * 1e3, answer.cold * 1e3
    return f"{answer.median * 1e3:.1f} ({p99:.1f}; {cold:.0f})"


def verdicts(promises: Sequence[Promise]) -> list[str]:
    """The promises that were not kept, a line each."""
    return [f"missed: {one.text}: {one.found}, {one.limit}" for one in promises if not one.kept]
