"""Attaching and detaching on a loaded model, ours and PEFT's, each in a process of its own."""

import json
import os
import statistics
import sys
from importlib.util import find_spec
from pathlib import Path

from .contenders import PEERS
from .edits import Edit
from .process import Failed, run

SCRIPTS = {"weightpatch": "attach.py", "peft": "attach_peft.py"}


def measure_in_memory(edit: Edit, runs: int, cpus: set[int], work: Path) -> dict[str, float]:
    """Median seconds of each step by name, of those libraries that are installed.

    They run in turns; each run gives the median of many steps, and these their median.
    """
    seconds: dict[str, list[float]] = {}
    for _ in range(runs):
        for library in SCRIPTS:
            if find_spec(library) is not None:
                for name, median in _medians(library, edit, cpus, work).items():
                    seconds.setdefault(name, []).append(median)
    return {name: statistics.median(found) for name, found in seconds.items()}


def _medians(library: str, edit: Edit, cpus: set[int], work: Path) -> dict[str, float]:
    result = work / "in-memory.json"
    command = [sys.executable, PEERS / SCRIPTS[library], edit.base, edit.folder, result]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    try:
        run(command, cpus, environment, work / f"in-memory-{library}.log")
    except Failed as failure:
        print(f"{library} in memory: {failure}")
        return {}
    return dict(json.loads(result.read_text()))
