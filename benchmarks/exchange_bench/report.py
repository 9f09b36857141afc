"""What was found, as tables in Markdown."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.document import machine

from .contenders import OURS
from .hub import Traffic
from .measuring import PULL, PUSH, STEPS, Measured

LIBRARIES = ("huggingface-hub", "hf-xet", "httpx2")


@dataclass
class Report:
    """All that was found: by the hub, by contender and delay; by a folder, by what copied it."""

    cpus: int
    xet: bool
    by_hub: dict[tuple[str, int], list[Measured]] = field(default_factory=lambda: defaultdict(list))
    by_folder: dict[str, list[Measured]] = field(default_factory=lambda: defaultdict(list))

    def markdown(self) -> str:
        """The tables."""
        way = "Large files go by Xet." if self.xet else "Large files go by LFS."
        parts = [f"{machine(self.cpus, LIBRARIES)} {way}"]
        parts += [self._hub_table(step) for step in STEPS]
        parts.append(self._folder_table())
        return "\n\n".join(parts) + "\n"

    @property
    def _delays(self) -> list[int]:
        return sorted({delay for _, delay in self.by_hub})

    def _hub_table(self, step: str) -> str:
        columns = [f"s at {delay} ms" for delay in self._delays]
        ratio = f"to ours at {self._delays[-1]} ms"
        head = ["", "requests", "kB sent", "kB received", *columns, ratio, "memory MB"]
        lines = [f"**{STEPS[step]}**", "", _row(head), _row(["---", *["--:"] * (len(head) - 1)])]
        names = dict.fromkeys(name for name, _ in self.by_hub)
        return "\n".join([*lines, *(self._hub_row(step, name) for name in names)])

    def _hub_row(self, step: str, name: str) -> str:
        late = self._delays[-1]
        runs = {delay: _steps(self.by_hub[name, delay], step) for delay in self._delays}
        every = [one for found in runs.values() for one in found]
        traffic = [one.traffic for one in every if one.traffic]
        ours = _seconds(_steps(self.by_hub[OURS, late], step))
        return _row(
            [
                name,
                _span(one.requests for one in traffic),
                f"{_most(traffic, 'sent') / 1e3:,.1f}",
                f"{_most(traffic, 'received') / 1e3:,.1f}",
                *(_timing(found) for found in runs.values()),
                f"{_seconds(runs[late]) / ours:.1f}",
                _memory(every),
            ]
        )

    def _folder_table(self) -> str:
        head = ["To a folder and back", "s there", "s back", "memory MB"]
        lines = [_row(head), _row(["---", "--:", "--:", "--:"])]
        for name, found in self.by_folder.items():
            there, back = (_timing(_steps(found, step)) for step in (PUSH, PULL))
            lines.append(_row([name, there, back, _memory(found)]))
        return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _steps(found: Iterable[Measured], step: str) -> list[Measured]:
    return [one for one in found if one.step == step]


def _seconds(found: Iterable[Measured]) -> float:
    return statistics.median(one.usage.wall for one in found)


def _timing(found: Sequence[Measured]) -> str:
    walls = [one.usage.wall for one in found]
    return f"{statistics.median(walls):.2f} ({min(walls):.2f}–{max(walls):.2f})"  # noqa: RUF001


def _memory(found: Iterable[Measured]) -> str:
    return f"{max(one.usage.anonymous for one in found) / 1e6:,.0f}"


def _span(numbers: Iterable[int]) -> str:
    seen = sorted(set(numbers))
    return f"{seen[0]}" if len(seen) == 1 else f"{seen[0]} to {seen[-1]}"


def _most(traffic: Iterable[Traffic], side: str) -> int:
    return max(getattr(one, side) for one in traffic)
