"""What each process of a crowd does: say that it is ready, wait for the signal, then work."""

import json
import sys
import time
from collections.abc import Callable, Iterable


def work(steps: Iterable[Callable[[], object]], failures: tuple[type[Exception], ...]) -> None:
    """Take the steps after the signal; print begin, end, seconds of each step, and failures."""
    waiting = list(steps)
    print("ready", flush=True)
    sys.stdin.readline()
    seconds, errors = [], []
    begin = time.monotonic()
    for step in waiting:
        start = time.perf_counter()
        try:
            step()
        except failures as error:
            errors.append(f"{type(error).__name__}: {error}")
        else:
            seconds.append(time.perf_counter() - start)
    record = {"begin": begin, "end": time.monotonic(), "seconds": seconds, "errors": errors}
    print(json.dumps(record), flush=True)
