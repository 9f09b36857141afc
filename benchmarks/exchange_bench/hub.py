"""A hub of our own in another process, each of whose answers comes late, and what it was asked."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER = Path(__file__).parents[2] / "tests" / "loopback_server.py"


@dataclass(frozen=True)
class Traffic:
    """Requests, and the bytes of their bodies and of the answers' as the client sees them."""

    requests: int
    sent: int
    received: int


@dataclass
class Hub:
    """An empty hub; `address` is its variables for a client."""

    address: dict[str, str]
    log: Path
    _seen: int = 0

    def environment(self, home: Path, *, xet: bool) -> dict[str, str]:
        """The environment of a user of this hub whose caches lie in `home`."""
        known = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        return {
            **known,
            **self.address,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "0" if xet else "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        }

    def traffic(self) -> Traffic:
        """What was asked since the last time."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        new, self._seen = [json.loads(line) for line in lines[self._seen :]], len(lines)
        sent, received = (sum(line[key] for line in new) for key in ("received", "sent"))
        return Traffic(len(new), sent, received)


@contextmanager
def serving(work: Path, delay: int) -> Iterator[Hub]:
    """Run a hub that waits `delay` milliseconds before each answer."""
    log = work / "requests.log"
    command = [sys.executable, SERVER, "--delay", str(delay), "--log", log]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise RuntimeError("the hub has no output")
        said = process.stdout.readline().split()
        try:
            yield Hub(dict(word.split("=", 1) for word in said), log)
        finally:
            process.terminate()
