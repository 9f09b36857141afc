"""Commands of which each is a process of its own, but whose imports from other projects are shared.

Run as a program, this imports what commands import from others and nothing of weightpatch. For each
line that it then reads it forks a child, which is what `python -m weightpatch` would be in the
folder, environment and files that the line names, and answers with the child's exit status. It has
one thread: what others hold would be held for ever in a child.
"""

import gc
import json
import os
import re
import runpy
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

SHARED = (
    "alembic.command",
    "alembic.config",
    "alembic.context",
    "alembic.runtime.migration",
    "click",
    "mako.template",
    "numpy.typing",
    "psycopg",
    "rfc8785",
    "rich.console",
    "rich.live",
    "rich.progress",
    "rich.table",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "sqlite3",
    "threadpoolctl",
    "torch",
    "transformers",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
)
READ_LATE = re.compile("COLUMNS|HF_TOKEN|PYTEST_CURRENT_TEST|TERM|HF_XET_CLIENT_.*|WEIGHTPATCH_.*")
"""Variables that nobody reads while something is imported."""


class Commands:
    """Runs one command at a time in a child of one process, or cold if its environment says so.

    What they print lies in `folder` meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self._streams = [folder / name for name in ("stdout", "stderr")]
        self._environment = dict(os.environ, PYTHONWARNINGS="error")
        self._server: subprocess.Popen[str] | None = None

    def run(
        self, arguments: list[str], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run `weightpatch` with arguments, in the present folder."""
        if _at_import(environment) != _at_import(self._environment):
            command = [sys.executable, "-m", "weightpatch", *arguments]
            return subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
        for stream in self._streams:
            stream.write_bytes(b"")
        status = self._ask([arguments, environment, str(Path.cwd()), *map(str, self._streams)])
        printed = [stream.read_text() for stream in self._streams]
        return subprocess.CompletedProcess(arguments, status, *printed)

    def close(self) -> None:
        """End the process."""
        if self._server is not None:
            self._server.communicate()

    def _ask(self, job: list[Any]) -> int:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, __file__],
                env={**self._environment, "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


def _at_import(environment: dict[str, str]) -> dict[str, str]:
    """What Python and other projects may read while they start."""
    return {name: value for name, value in environment.items() if not READ_LATE.fullmatch(name)}


def serve() -> None:
    """Become a command for each line of standard input, which itself is no command's business."""
    for name in SHARED:
        import_module(name)
    gc.freeze()
    with (
        suppress(KeyboardInterrupt),
        os.fdopen(os.dup(0)) as jobs,
        os.fdopen(os.dup(1), "w") as answers,
    ):
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        while line := jobs.readline():
            child = os.fork()
            if not child:
                _become(*json.loads(line))
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=answers, flush=True)


def _become(
    arguments: list[str], environment: dict[str, str], folder: str, stdout: str, stderr: str
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, name in enumerate((stdout, stderr), 1):
        os.dup2(os.open(name, os.O_WRONLY), number)
    sys.argv = ["weightpatch", *arguments]
    sys.path[0] = folder
    runpy.run_module("weightpatch", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve()
