"""Work on blocks by several threads, results in order, no more in memory than needed."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from itertools import chain, islice
from threading import Lock
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_WORKERS = 8
"""More threads than this wait for memory, not for each other."""


def workers() -> int:
    """Threads to use: one for each processor that this process may run on."""
    return min(MAX_WORKERS, len(os.sched_getaffinity(0)))


def ordered(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None
) -> Generator[Result]:
    """`function` of each item, in the order of the items, computed by several threads.

    A few results wait at most, so memory is bounded whatever the number of items. The first error
    is raised in its turn, and what has not begun is left undone.
    """
    count = threads or workers()
    waiting = iter(items)
    first = list(islice(waiting, 2))
    if count == 1 or len(first) < 2:
        with _one_blas_thread:
            yield from map(function, chain(first, waiting))
        return
    with _one_blas_thread, ThreadPoolExecutor(count) as pool:
        begun: deque[Future[Result]] = deque(pool.submit(function, item) for item in first)
        try:
            begun.extend(pool.submit(function, item) for item in islice(waiting, count))
            while begun:
                result = begun.popleft().result()
                begun.extend(pool.submit(function, item) for item in islice(waiting, 1))
                yield result
        finally:
            for future in begun:
                future.cancel()


class _OneBlasThread:
    """Threads of our own leave no processor to those of the BLAS; the last one out resets it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._limits = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._limits.enter_context(_blas().limit(limits=1, user_api="blas"))
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._limits.close()


_one_blas_thread = _OneBlasThread()


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()
