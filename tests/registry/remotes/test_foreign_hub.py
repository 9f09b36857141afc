"""--foreign-hub: tests marked any_hub run against the hub of the environment, and leave nothing."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import loopback_hub
import pytest

TESTS = Path(__file__).parents[2]
ONE = "test_any_hub.py::test_a_repository_is_private_unless_told_otherwise"


@pytest.fixture
def server(tmp_path):
    """A hub in a process of its own: its log, and the variables that it says to use."""
    log = tmp_path / "log"
    command = [sys.executable, TESTS / "loopback_server.py", "--log", log]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield log, dict(said.split("=", 1) for said in process.stdout.readline().split())
        finally:
            process.terminate()


def test_they_run_against_the_hub_of_the_environment(server):
    log, variables = server

    done = run(variables, ONE, "hub/test_push.py")

    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
    assert "deselected" in done.stdout
    asked = [json.loads(line) for line in log.read_text().splitlines()]
    made = [line for line in asked if line["path"] == "/api/repos/create"]
    deleted = [line for line in asked if line["path"] == "/api/repos/delete"]
    assert len(made) == len(deleted) == 4
    assert sum(line["path"] == "/api/whoami-v2" for line in asked) == 1
    with urllib.request.urlopen(f"{variables['HF_ENDPOINT']}/api/models") as answer:
        assert json.load(answer) == []


@pytest.mark.parametrize("missing", loopback_hub.USED)
def test_who_forgets_a_variable_is_told_so(missing):
    variables = {"HF_ENDPOINT": "http://127.0.0.1:1", "HF_TOKEN": "hf_nobody", missing: ""}

    done = run(variables, ONE)

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"--foreign-hub needs {missing} in the environment" in done.stderr
    assert "hf_nobody" not in done.stdout + done.stderr


def run(variables: dict[str, str], *tests: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--foreign-hub", "-p", "no:cacheprovider"]
    places = [str(Path(__file__).parent / test) for test in tests]
    environment = {**os.environ, **variables}
    return subprocess.run(
        [*command, *places],
        cwd=TESTS.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
