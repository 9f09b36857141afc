"""One process from start to end: wall and CPU seconds, and the anonymous memory of its tree."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

INTERVAL = 0.015


@dataclass(frozen=True)
class Usage:
    """What one run took; `anonymous` in bytes, the peak of what was seen every 15 ms."""

    wall: float
    cpu: float
    anonymous: int


class Failed(Exception):
    """A measured process ended with another status than 0."""


def chosen_cpus(count: int) -> set[int]:
    """The last `count` of the processors that this process may use."""
    return set(sorted(os.sched_getaffinity(0))[-count:])


def run(
    command: Sequence[str | Path], cpus: set[int], environment: Mapping[str, str], log: Path
) -> Usage:
    """Run a command on `cpus` alone, its output into `log`; raises Failed.

    Everything written before is flushed to the disk first, so that no one pays for another's.
    """
    os.sync()
    with log.open("ab") as output, _pinned(cpus) as free:
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**environment, "OMP_NUM_THREADS": str(len(cpus))},
        )
        watch = _Watch(process.pid, free)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        peak = watch.stop()
    if process.returncode:
        tail = log.read_text(errors="replace").strip().splitlines()[-12:]
        raise Failed(f"exit status {process.returncode}\n" + "\n".join(tail))
    return Usage(wall, used.ru_utime + used.ru_stime, peak)


@contextmanager
def _pinned(cpus: set[int]) -> Iterator[set[int]]:
    """Keep this thread, and what it starts, on `cpus` alone; gives what it had before."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield before
    finally:
        os.sched_setaffinity(0, before)


class _Watch:
    """Samples a process tree in a thread on `cpus` until stopped."""

    def __init__(self, pid: int, cpus: set[int]) -> None:
        self._pid = pid
        self._cpus = cpus
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End the sampling; the highest sum seen, in bytes."""
        self._done.set()
        self._thread.join()
        return self._peak

    def _sample(self) -> None:
        os.sched_setaffinity(0, self._cpus)
        while not self._done.wait(INTERVAL):
            self._peak = max(self._peak, _tree_anonymous(self._pid))


def _tree_anonymous(pid: int) -> int:
    """Bytes of anonymous memory of a process and all its descendants; 0 for one that is gone."""
    folder = Path("/proc") / str(pid)
    try:
        status = (folder / "status").read_text()
        children = [
            int(child)
            for task in (folder / "task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own = next(
        (int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0
    )
    return own * 1024 + sum(_tree_anonymous(child) for child in children)
