"""Verifying a long ledger, and making its checkpoint, each in a process of its own."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from harness import process

from .crowd import WORKERS
from .synthetic.registries import Synthetic

VERIFY = "verify"
TITLES = {
    VERIFY: "verify every entry, with what repeats it",
    "checkpoint": "make a checkpoint of all entries",
    "growth": "prove that all entries continue the first half",
}


@dataclass(frozen=True)
class Reading:
    """One reading of a whole ledger: seconds of the call, bytes of the process's own memory."""

    what: str
    entries: int
    seconds: float
    anonymous: int
    ok: bool


def measure(synthetic: Synthetic, cpus: set[int], work: Path) -> list[Reading]:
    """Read the ledger in each way."""
    return [_read(synthetic, what, cpus, work) for what in TITLES]


def _read(synthetic: Synthetic, what: str, cpus: set[int], work: Path) -> Reading:
    result = work / "ledger.json"
    command: list[str | Path] = [
        sys.executable,
        WORKERS / "read_ledger.py",
        synthetic.home,
        result,
        what,
    ]
    usage = process.run(command, cpus, os.environ, work / "ledger.log")
    found = json.loads(result.read_text())
    reading = Reading(what, found["entries"], found["seconds"], usage.anonymous, found["ok"])
    print(
        f"  {what:11} {reading.entries:,} entries  {reading.seconds:7.2f} s"
        f"  {reading.anonymous / 1e6:6.0f} MB",
        flush=True,
    )
    return reading
