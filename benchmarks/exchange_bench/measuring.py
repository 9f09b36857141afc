"""Push, push again, pull, pull again: each a process of its own, on an empty hub."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.process import Usage, run

from .contenders import OURS, Command, Contender, Goods, Ours
from .hub import Hub, Traffic, serving

PUSH, PULL, AGAIN = "push", "pull", " again"
STEPS = {
    PUSH: "Push of what is not there",
    PUSH + AGAIN: "Push of what is there",
    PULL: "Pull of what is not here",
    PULL + AGAIN: "Pull of what is here",
}


class Wrong(Exception):
    """What arrived is not what was sent."""


@dataclass(frozen=True)
class Measured:
    """One step of one contender; there is no traffic with a folder."""

    step: str
    usage: Usage
    traffic: Traffic | None = None


@dataclass(frozen=True)
class Bench:
    """Where and on what is measured."""

    work: Path
    goods: Goods
    cpus: set[int]
    xet: bool

    def by_hub(self, contender: Contender, delay: int) -> list[Measured]:
        """All steps once; raises Failed, Wrong."""
        with self._folder() as folder, serving(folder, delay) as hub:
            sender, receiver = folder / "sender", folder / "receiver"
            contender.own(sender)
            contender.settle(receiver)
            commands = {PUSH: (contender.push(), sender), PULL: (contender.pull(), receiver)}
            found = [
                self._measure(step, *commands[step.removesuffix(AGAIN)], hub) for step in STEPS
            ]
            _require_same(contender.files, contender.pulled(receiver))
        return found

    def by_folder(self) -> list[Measured]:
        """Ours, with a folder in place of a hub; raises Failed, Wrong."""
        with self._folder() as folder:
            ours = Ours(OURS, self.goods.patch, place=str(folder / "drive"))
            sender, receiver = folder / "sender", folder / "receiver"
            ours.own(sender)
            ours.settle(receiver)
            found = [
                self._measure(PUSH, ours.push(), sender),
                self._measure(PULL, ours.pull(), receiver),
            ]
            _require_same(ours.files, ours.pulled(receiver))
        return found

    def by_copy(self, source: Path) -> list[Measured]:
        """`cp -r` there and back; raises Failed, Wrong."""
        with self._folder() as folder:
            drive, receiver = folder / "drive", folder / "receiver"
            found = [
                self._measure(PUSH, ["cp", "-r", source, drive], folder),
                self._measure(PULL, ["cp", "-r", drive, receiver], folder),
            ]
            _require_same(source, {path.name: path for path in receiver.iterdir()})
        return found

    def _measure(self, step: str, command: Command, home: Path, hub: Hub | None = None) -> Measured:
        home.mkdir(exist_ok=True)
        environment = hub.environment(home, xet=self.xet) if hub else _plain()
        ours = {"WEIGHTPATCH_HOME": str(home / "registry"), "WEIGHTPATCH_ACTOR": "benchmark"}
        usage = run(command, self.cpus, {**environment, **ours}, home / "log")
        return Measured(step, usage, hub.traffic() if hub else None)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="run-", dir=self.work) as folder:
            yield Path(folder)


def _plain() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("HF_")}


def _require_same(sent: Path, found: Mapping[str, Path]) -> None:
    for file in sent.iterdir():
        if file.name not in found or found[file.name].read_bytes() != file.read_bytes():
            raise Wrong(f"{file.name} did not arrive as it was sent")
