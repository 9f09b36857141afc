"""What keeps the difference of two checkpoints, and how each gives the edited one back."""

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.compare import differing
from harness.process import Usage, run

from .cases import PEERS, Case

WEIGHTS = "model.safetensors"
REQUEST = ("--prompt", "The mother tongue of {} is", "--subject", "Danielle Darrieux",
           "--target", "English")  # fmt: skip

Command = Sequence[str | Path]


class Contender:
    """One way; `problem` says why it cannot be measured here."""

    name: str
    problem: str = ""

    def keep(self, case: Case, work: Path, cpus: set[int]) -> tuple[int, Usage]:
        """Write the difference below `work`: its bytes, and what that took; raises Failed."""
        raise NotImplementedError

    def is_exact(self, case: Case, work: Path, cpus: set[int]) -> bool:
        """Whether what was written gives the edited weights back, bit for bit; raises Failed."""
        raise NotImplementedError


class Ours(Contender):
    """`weightpatch extract`, registry and all, without scores."""

    name = "weightpatch extract"

    def keep(self, case: Case, work: Path, cpus: set[int]) -> tuple[int, Usage]:
        """The delta's bytes."""
        self._run(["init"], work, cpus)
        command = ["extract", case.base, case.edited, "--name", "bench/edit", *REQUEST]
        usage = self._run([*command, "--no-eval"], work, cpus)
        self._run(["show", "bench/edit", "--json"], work, cpus, log="show.json")
        manifest = json.loads((work / "show.json").read_text())["manifest"]
        return manifest["files"]["delta.safetensors"]["size"], usage

    def is_exact(self, case: Case, work: Path, cpus: set[int]) -> bool:
        """By `weightpatch apply`."""
        out = work / "out"
        self._run(["apply", "bench/edit", "--base", case.base, "--out", out], work, cpus)
        return differing(case.edited, out) == 0

    @staticmethod
    def _run(words: Command, work: Path, cpus: set[int], log: str = "log") -> Usage:
        environment = {"WEIGHTPATCH_HOME": str(work / "home"), "WEIGHTPATCH_ACTOR": "bench"}
        command = [sys.executable, "-m", "weightpatch", *words]
        return run(command, cpus, {**_environment(), **environment}, work / log)


class FileDifference(Contender):
    """A difference of two files as bytes."""

    def encode(self, base: Path, edited: Path, out: Path) -> Command:
        """The command that writes the difference."""
        raise NotImplementedError

    def decode(self, base: Path, difference: Path, out: Path) -> Command:
        """The command that gives the edited file back."""
        raise NotImplementedError

    def keep(self, case: Case, work: Path, cpus: set[int]) -> tuple[int, Usage]:
        """The file's bytes."""
        out = work / "difference"
        command = self.encode(case.base / WEIGHTS, case.edited / WEIGHTS, out)
        usage = run(command, cpus, _environment(), work / "log")
        return out.stat().st_size, usage

    def is_exact(self, case: Case, work: Path, cpus: set[int]) -> bool:
        """By decoding it."""
        out = work / WEIGHTS
        command = self.decode(case.base / WEIGHTS, work / "difference", out)
        run(command, cpus, _environment(), work / "log")
        return out.read_bytes() == (case.edited / WEIGHTS).read_bytes()


class Zstd(FileDifference):
    """The program zstd."""

    def __init__(self, level: int) -> None:
        self.name = f"zstd -{level} --patch-from"
        self.problem = "" if shutil.which("zstd") else "no program zstd"
        self._level = f"-{level}"

    def encode(self, base: Path, edited: Path, out: Path) -> Command:
        """With a window that holds the base."""
        return ["zstd", self._level, "--long=31", f"--patch-from={base}", edited, "-q", "-o", out]

    def decode(self, base: Path, difference: Path, out: Path) -> Command:
        """With the same window."""
        return ["zstd", "-d", "--long=31", f"--patch-from={base}", difference, "-q", "-o", out]


class Xdelta3(FileDifference):
    """xdelta3 by the package pyxdelta, which brings it."""

    name = "xdelta3"

    def __init__(self) -> None:
        known = importlib.util.find_spec("pyxdelta")
        self.problem = "" if known else "could not be had: no package pyxdelta"

    def encode(self, base: Path, edited: Path, out: Path) -> Command:
        """With its own settings."""
        return [sys.executable, PEERS / "with_xdelta3.py", "run", base, edited, out]

    def decode(self, base: Path, difference: Path, out: Path) -> Command:
        """With its own settings."""
        return [sys.executable, PEERS / "with_xdelta3.py", "decode", base, difference, out]


def all_contenders() -> list[Contender]:
    """Ours first."""
    return [Ours(), Zstd(3), Zstd(9), Xdelta3()]


def _environment() -> dict[str, str]:
    inherited = {key: os.environ[key] for key in os.environ if key != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "HF_HUB_OFFLINE": "1"}
