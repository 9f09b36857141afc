"""A file appears whole or not at all, and dead runs leave nothing for good."""

import signal
import subprocess
import sys

import pytest
from weightpatch.patches.exchange.new_file import new_file

RUN = """
import os, signal, sys
from pathlib import Path
from weightpatch.patches.exchange.new_file import new_file
with new_file(Path(sys.argv[1]), 1000) as file:
    print("ready", flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


def start(target, then):
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, target, then],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def names(folder):
    return {entry.name for entry in folder.iterdir()}


@pytest.mark.parametrize("name", ["target", "x" * 255, "\N{GRINNING FACE}" * 63])
def test_what_a_killed_run_left_is_swept_by_the_next(tmp_path, name):
    process = start(tmp_path / name, "die")
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert any(entry.stat().st_size == 1000 for entry in tmp_path.iterdir())
    with new_file(tmp_path / name, 3) as file:
        file.write(b"new")
    assert names(tmp_path) == {name}
    assert (tmp_path / name).read_bytes() == b"new"


def test_what_a_living_run_writes_is_not_swept(tmp_path):
    process = start(tmp_path / "target", "live")
    (partial,) = (entry for entry in tmp_path.iterdir() if entry.stat().st_size)
    with new_file(tmp_path / "target", 3) as file:
        assert partial.stat().st_size == 1000
        file.write(b"new")
    process.communicate()
    assert process.returncode == 1
    assert names(tmp_path) == {"target"}
