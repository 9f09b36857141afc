"""Attaching and detaching on a loaded model, ours and PEFT's, each in a process of its own."""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from .contenders import PEERS
from .edits import Edit
from .process import Failed, run

SCRIPTS = {"weightpatch": "attach.py", "peft": "attach_peft.py"}


def measure_in_memory(edit: Edit, cpus: set[int], work: Path) -> dict[str, float]:
    """Median seconds of each step by name, of those libraries that are installed."""
    seconds: dict[str, float] = {}
    for library, script in SCRIPTS.items():
        if find_spec(library) is None:
            continue
        result = work / "in-memory.json"
        command = [sys.executable, PEERS / script, edit.base, edit.folder, result]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        try:
            run(command, cpus, environment, work / f"in-memory-{library}.log")
        except Failed as failure:
            print(f"{library} in memory: {failure}")
            continue
        seconds |= json.loads(result.read_text())
    return seconds
