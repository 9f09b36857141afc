"""Who is measured: a command for each way to get an edited checkpoint onto the disk."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .edits import Edit
from .mergekit_recipe import write_recipe

PEERS = Path(__file__).parent.parent / "peers"
OURS = "weightpatch"
LINKED = "weightpatch-link"
FLOOR = "cp"

Command = Callable[[Edit, Path, Path], Sequence[str | Path]]


@dataclass(frozen=True)
class Contender:
    """One way; `command` takes the edit, the folder to write, and an empty folder to use.

    `cases` and `sharded` say where it makes sense, `edits` whether its result can be compared,
    `synced` whether what it has written is on the disk when it ends.
    """

    name: str
    title: str
    command: Command
    cases: str = "abcd"
    sharded: bool = False
    edits: bool = True
    synced: bool = False
    needs: str | None = None

    @property
    def installed(self) -> bool:
        """Whether the library that it needs is there."""
        return self.needs is None or find_spec(self.needs) is not None

    def fits(self, edit: Edit) -> bool:
        """Whether it can do this edit, and does something of its own for it."""
        return edit.case in self.cases and not (self.sharded and edit.base.name != "big")


def _copy(edit: Edit, out: Path, _scratch: Path) -> list[str | Path]:
    return ["cp", "-r", edit.base, out]


def _copy_synced(edit: Edit, out: Path, _scratch: Path) -> list[str | Path]:
    return ["sh", "-c", 'cp -r "$0" "$1" && sync "$1"/*', edit.base, out]


def _copy_shard(edit: Edit, out: Path, _scratch: Path) -> list[str | Path]:
    return ["cp", edit.shards[0], out]


def _apply(edit: Edit, out: Path, _scratch: Path) -> list[str | Path]:
    command = [sys.executable, "-m", "weightpatch", "apply", edit.patch]
    return [*command, "--base", edit.base, "--out", out]


def _link(edit: Edit, out: Path, scratch: Path) -> list[str | Path]:
    return [*_apply(edit, out, scratch), "--link"]


def _peer(script: str) -> Command:
    def command(edit: Edit, out: Path, _scratch: Path) -> list[str | Path]:
        return [sys.executable, PEERS / script, edit.base, edit.folder, out]

    return command


def _mergekit(edit: Edit, out: Path, scratch: Path) -> list[str | Path]:
    write_recipe(edit, scratch / "recipe.yaml")
    program = Path(sys.executable).parent / "mergekit-yaml"
    return [program, scratch / "recipe.yaml", out, f"--lora-merge-cache={scratch / 'merged'}"]


CONTENDERS = (
    Contender(FLOOR, "`cp -r`", _copy, edits=False),
    Contender("cp-sync", "`cp -r`, then `sync`", _copy_synced, edits=False, synced=True),
    Contender("cp-shard", "`cp` of one shard", _copy_shard, cases="a", sharded=True, edits=False),
    Contender(OURS, "**weightpatch apply**", _apply, synced=True),
    Contender(LINKED, "**weightpatch apply --link**", _link, sharded=True, synced=True),
    Contender("safetensors", "safetensors load, edit, save", _peer("with_safetensors.py")),
    Contender("transformers", "transformers", _peer("with_transformers.py")),
    Contender("peft", "PEFT merge and save", _peer("with_peft.py"), cases="abc", needs="peft"),
    Contender("mergekit", "mergekit", _mergekit, needs="mergekit"),
)
