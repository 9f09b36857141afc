"""An interrupt ends a command with status 130 and no traceback, wherever it comes."""

import os
import signal
import subprocess
import sys

import pytest

BROKEN = """
import os, signal, sys
import click
from weightpatch.cli import main as m
from weightpatch.cli.start import console
from weightpatch.patches.errors import CheckpointRefused

@click.command()
def command():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise CheckpointRefused("Could not import module") from None

m.Commands.get_command = lambda self, ctx, name: command
sys.argv = ["weightpatch", "list"]
console()
"""
EARLY = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from weightpatch.cli.start import console
sys.argv = ["weightpatch", "--version"]
console()
"""
FINALISER = """
import os, signal, sys
from weightpatch.cli.start import console

class Finished:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("weightpatch.cli.commands"):
            Finished()

sys.meta_path.insert(0, Interrupting())
sys.argv = ["weightpatch", "list", "--help"]
console()
"""


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@pytest.mark.parametrize(("code", "said"), [(BROKEN, "interrupted\n"), (EARLY, "")])
def test_an_interrupt_that_became_another_error_is_still_one(code, said):
    found = run(code)
    assert (found.returncode, found.stdout, found.stderr) == (130, "", said)


def test_an_interrupt_that_nobody_can_raise_is_not_printed():
    assert "Traceback" not in run(FINALISER).stderr


def test_an_interrupt_that_is_ignored_stays_so():
    found = subprocess.run(
        [sys.executable, "-c", EARLY],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert found.returncode == 0, found.stderr
