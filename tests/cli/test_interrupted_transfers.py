"""Ctrl-C in the middle of a transfer ends it at once, and nothing of it is registered."""

import os
import signal
import subprocess
import sys
import time

import pytest
from loopback_faults import UPLOAD, Fault, slow

SECONDS = 60
RUN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from weightpatch.cli.start import console
console()
"""


@pytest.fixture
def interrupt(hub, tmp_path):
    """Run a command, interrupt it when the hub is asked for `path`; status and stderr."""

    def run(path, *arguments):
        hub.faults.append(Fault("GET PUT POST", path, after=slow(SECONDS), times=None))
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *map(str, arguments)],
            env={**os.environ, "WEIGHTPATCH_HOME": str(tmp_path / "home")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not hub.faults[0].hits and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert time.monotonic() - begun < SECONDS
        hub.faults.clear()
        return process.returncode, said

    return run


@pytest.mark.parametrize("transfer", ["lfs", "xet"])
def test_a_push(stocked, hub, interrupt, transfer):
    assert interrupt(UPLOAD, "push", "acme/one", "hf://") == (130, "\ninterrupted\n")

    assert not hub["acme/one"].tags
    assert "is now at" in stocked.ok("push", "acme/one", "hf://")


def test_a_pull(stocked, hub, interrupt):
    stocked.ok("push", "acme/one", "hf://")
    before = stocked.json("log", "acme/one")

    assert interrupt("/resolve/.*safetensors$", "pull", "acme/one@1", "hf://") == (
        130,
        "\ninterrupted\n",
    )
    assert stocked.json("log", "acme/one") == before


@pytest.mark.parametrize("transfer", ["lfs", "xet"])
def test_a_base(stocked, hub, interrupt, transfer, tmp_path):
    files = {path.name: path.read_bytes() for path in stocked.base.path.iterdir()}
    hub.make("acme/pico").put(files)
    out = tmp_path / "out"

    apply = ("apply", "acme/one", "--base", "acme/pico", "--out")
    assert interrupt("^/storage/", *apply, out)[0] == 130
    assert not out.exists()
    stocked.ok(*apply, out)
