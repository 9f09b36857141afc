"""The loopback hub as a process of its own: to try things by hand, and for benchmarks.

python tests/loopback_server.py [--delay MS] [--log FILE]

Prints the variables that a client needs, with a token of alice, who is in the organisation acme,
and serves until it is interrupted. `--delay` is waited before each answer; `--log` gets a line of
JSON for each request that was answered, with the bytes of its body and of the answer's.
"""

import argparse
import json
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from loopback_hub import READABLE, LoopbackHub
from loopback_messages import Refused, Reply, Request


@dataclass(frozen=True)
class Line:
    """A request that was answered."""

    method: str
    path: str
    status: int
    received: int
    sent: int


class SlowHub(LoopbackHub):
    """Waits before each answer, and writes each down."""

    def __init__(self, delay: float, log: Path | None) -> None:
        self._delay = delay
        self._log = log
        self._writing = threading.Lock()
        super().__init__()

    def _answer(self, request: Request) -> Reply:
        time.sleep(self._delay)
        try:
            reply = super()._answer(request)
        except Refused as refused:
            reply = refused.reply
        if self._log:
            sent = 0 if request.method == "HEAD" else len(reply.body)
            line = Line(request.method, request.path, reply.status, len(request.body), sent)
            with self._writing, self._log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(line)) + "\n")
        return reply


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--delay", type=float, default=0, help="milliseconds before each answer")
    parser.add_argument("--log", type=Path, help="a file to write each request to")
    options = parser.parse_args()
    hub = SlowHub(options.delay / 1_000, options.log)
    variables = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_alice", **READABLE}
    print(*(f"{name}={value}" for name, value in variables.items()), flush=True)  # noqa: T201
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    hub.close()


if __name__ == "__main__":
    main()
