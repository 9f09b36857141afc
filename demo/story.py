"""The main job as a story: two edits of a real model, from the first thought to the undoing.

Every step is a command that a user would type. It is printed, then run.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

BOLD, DIM, RESET = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class Story:
    """Runs commands as different people, each with a registry of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.person = ""

    def chapter(self, title: str, text: str) -> None:
        """A heading, and what is about to happen."""
        print(f"\n{BOLD}{title}{RESET}\n{text}\n", flush=True)

    def run(self, command: str, *, expect: int = 0) -> None:
        """Print a command, run it as the current person, and insist on its exit status."""
        print(f"{BOLD}{self.person} ${RESET} {command}", flush=True)
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "WEIGHTPATCH_HOME": str(self.folder / self.person / "registry"),
            "WEIGHTPATCH_ACTOR": self.person,
            "COLUMNS": "110",
        }
        found = subprocess.run(
            shlex.split(command.replace("\\\n", " ")), cwd=self.folder, env=environment, check=False
        )
        print(flush=True)
        if found.returncode != expect:
            sys.exit(f"the demo stops: exit status {found.returncode}, expected {expect}")
