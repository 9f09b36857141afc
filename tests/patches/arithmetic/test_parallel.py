"""Threads: results in order, little ahead of their time, errors in their turn, nothing left."""

import threading
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info
from weightpatch.patches.arithmetic import parallel
from weightpatch.patches.arithmetic.parallel import MAX_WORKERS, ordered, workers


def blas_threads() -> set[int]:
    np.eye(2) @ np.eye(2)
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


@given(st.lists(st.integers(), max_size=40), st.integers(1, 8))
@settings(deadline=None)
def test_results_are_in_the_order_of_the_items(items: list[int], threads: int) -> None:
    assert list(ordered(lambda item: item * 2, items, threads=threads)) == [i * 2 for i in items]


def test_results_are_in_order_whoever_is_first() -> None:
    last = threading.Event()

    def wait_for_the_second(item: int) -> int:
        if item == 0:
            assert last.wait(10)
        else:
            last.set()
        return item

    assert list(ordered(wait_for_the_second, [0, 1], threads=2)) == [0, 1]


def test_several_are_worked_on_at_once() -> None:
    together = threading.Barrier(3, timeout=10)
    assert len(list(ordered(lambda _: together.wait(), range(3), threads=3))) == 3


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_long_list_is_read_only_a_little_ahead(threads: int) -> None:
    taken = []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    results = ordered(lambda item: item, items(), threads=threads)
    for expected in range(50):
        assert next(results) == expected
        assert len(taken) <= expected + threads + 3
    results.close()


@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_comes_in_its_turn_and_stops_the_rest(threads: int) -> None:
    begun = []

    def fail_at_five(item: int) -> int:
        begun.append(item)
        if item == 5:
            raise ValueError("five")
        return item

    results = ordered(fail_at_five, range(1000), threads=threads)
    assert list(islice(results, 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(results)
    assert len(begun) < 20


def test_what_is_not_asked_for_any_more_is_not_begun() -> None:
    begun = []
    results = ordered(begun.append, range(1000), threads=2)
    next(results)
    results.close()
    assert len(begun) < 10


@pytest.mark.parametrize("threads", [1, 3])
def test_no_thread_is_left(threads: int) -> None:
    before = set(threading.enumerate())
    list(ordered(str, range(20), threads=threads))
    assert set(threading.enumerate()) == before


def test_the_blas_has_one_thread_meanwhile_and_its_own_after() -> None:
    before = blas_threads()
    found = list(ordered(lambda _: blas_threads(), range(8), threads=4))
    assert all(one == {1} for one in found)
    assert blas_threads() == before


def test_the_blas_is_given_back_by_the_last_of_several() -> None:
    before = blas_threads()
    outer, inner = (ordered(lambda _: blas_threads(), range(9), threads=2) for _ in range(2))
    assert next(outer) == next(inner) == {1}
    outer.close()
    assert next(inner) == {1}
    inner.close()
    assert blas_threads() == before


def test_there_are_as_many_workers_as_processors_that_may_be_used(monkeypatch) -> None:
    for processors, expected in (({3}, 1), ({0, 2}, 2), (set(range(64)), MAX_WORKERS)):
        monkeypatch.setattr(parallel.os, "sched_getaffinity", lambda _, found=processors: found)
        assert workers() == expected
