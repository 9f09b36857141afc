"""The edited checkpoints whose difference from the base is measured."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness import edits
from harness.weights import open_folder

MERGED = "merged"
PEERS = Path(__file__).parents[1] / "peers"

TITLES = {
    "a": "rank 1 on one tensor, merged exactly",
    "b": "rank 32 on five tensors, merged exactly",
    "c": "LoRA of rank 16 on every linear layer, merged exactly",
    MERGED: "the same LoRA, merged by PEFT",
}


@dataclass(frozen=True)
class Case:
    """A base and what was made of it, each one safetensors file in a folder."""

    name: str
    base: Path
    edited: Path

    @property
    def dense(self) -> int:
        """Bytes of the tensors that differ."""
        before, after = open_folder(self.base), open_folder(self.edited)
        return sum(
            tensor.spec.bytes
            for name, tensor in after.items()
            if (before[name].bits != tensor.bits).any()
        )


def prepare(name: str, base: Path, work: Path) -> Case:
    """Make an edited checkpoint below `work`; raises CalledProcessError if PEFT fails."""
    case = "c" if name == MERGED else name
    edit = edits.prepare(case, base, work / case)
    if name != MERGED:
        return Case(name, base, edit.edited)
    out = work / MERGED
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run(
        [sys.executable, PEERS / "with_peft.py", base, edit.folder, out],
        check=True,
        capture_output=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    return Case(name, base, out)
