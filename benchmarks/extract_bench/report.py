"""What was found, as tables in Markdown."""

import subprocess
from dataclasses import dataclass, field

from harness.document import machine
from harness.process import Usage

from .cases import MERGED, TITLES
from .contenders import Ours

LIBRARIES = ("numpy", "torch", "transformers", "peft", "pyxdelta")


@dataclass(frozen=True)
class Found:
    """What one contender needed for one case; a `problem` instead of figures."""

    contender: str
    stored: int = 0
    usage: Usage | None = None
    exact: bool = False
    problem: str = ""


@dataclass
class Report:
    """All that was found, by case."""

    cpus: int
    found: dict[str, list[Found]] = field(default_factory=dict)
    dense: dict[str, int] = field(default_factory=dict)

    def markdown(self) -> str:
        """The tables, and what must hold."""
        parts = [machine(self.cpus, LIBRARIES, others=_zstd())]
        parts += [self._table(case) for case in self.found]
        parts.append(self._promises())
        return "\n\n".join(parts) + "\n"

    def _table(self, case: str) -> str:
        lines = [
            f"**{TITLES[case]}**, {self.dense[case] / 1e6:.1f} MB of changed tensors",
            "",
            "| | kB | of the changed tensors | wall s | CPU s | memory MB | gives it back |",
            "|---|--:|--:|--:|--:|--:|---|",
        ]
        return "\n".join([*lines, *(self._row(case, found) for found in self.found[case])])

    def _row(self, case: str, found: Found) -> str:
        if found.usage is None:
            return f"| {found.contender} | {found.problem} | | | | | |"
        exact = "bit for bit" if found.exact else "**no**"
        return (
            f"| {found.contender} | {found.stored / 1e3:,.1f} "
            f"| {100 * found.stored / self.dense[case]:.2f} % | {found.usage.wall:.1f} "
            f"| {found.usage.cpu:.1f} | {found.usage.anonymous / 1e6:,.0f} | {exact} |"
        )

    def _promises(self) -> str:
        lines = ["| aim | limit | found | |", "|---|--:|--:|---|"]
        for case in self.found:
            if case == "a":
                others = [one.stored for one in self.found[case][1:] if one.usage]
                if others:
                    ratio = self._ours(case).stored / min(others)
                    lines.append(_promise("rank 1 beside the smallest other", ratio, 0.1))
            elif case in ("c", MERGED):
                ratio = self._ours(case).stored / self.dense[case]
                lines.append(_promise(f"{TITLES[case]}: of the dense change", ratio, 1 / 3))
        exact = all(self._ours(case).exact for case in self.found)
        lines.append(f"| every bit | exact | {'exact' if exact else 'not'} | {_verdict(exact)} |")
        return "\n".join(lines)

    def _ours(self, case: str) -> Found:
        return next(one for one in self.found[case] if one.contender == Ours.name)


def _promise(text: str, ratio: float, limit: float) -> str:
    found = f"{100 * ratio:.1f} %"
    return f"| {text} | {100 * limit:.0f} % | {found} | {_verdict(0 < ratio <= limit)} |"


def _verdict(kept: bool) -> str:
    return "kept" if kept else "**missed**"


def _zstd() -> list[str]:
    try:
        text = subprocess.run(["zstd", "--version"], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        return []
    words = text.stdout.split()
    return [f"zstd {word.strip(',').removeprefix('v')}" for word in words if word[:2] == "v1"]
