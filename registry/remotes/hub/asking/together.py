"""Ask about several things at a time, in a way that can be interrupted at any moment."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

AT_ONCE = 8

Answer = TypeVar("Answer")


def together(names: Sequence[str], ask: Callable[[str], Answer]) -> Iterator[tuple[str, Answer]]:
    """Give each name with what `ask` gives for it, as it comes; `AT_ONCE` are asked at once.

    `ask` must not raise. Whoever stops listening need not wait for what was asked already, as with
    an executor, whose threads are waited for even when the program ends.
    """
    waiting = deque(names)
    answers: SimpleQueue[tuple[str, Answer] | None] = SimpleQueue()

    def work() -> None:
        try:
            while (name := _next(waiting)) is not None:
                answers.put((name, ask(name)))
        finally:
            answers.put(None)

    working = min(AT_ONCE, len(names))
    for _ in range(working):
        Thread(target=work, daemon=True).start()
    try:
        while working:
            answer = answers.get()
            if answer is None:
                working -= 1
            else:
                yield answer
    finally:
        waiting.clear()


def _next(waiting: deque[str]) -> str | None:
    try:
        return waiting.popleft()
    except IndexError:  # another thread took the last
        return None
