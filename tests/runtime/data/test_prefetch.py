"""Reading ahead: in order, in parallel, errors where they are due, nothing left behind."""

from __future__ import annotations

import threading
import time
from itertools import count, islice

import pytest
from weft.runtime.data.prefetch import prefetched


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_results_come_in_order(workers: int) -> None:
    def read(number: int) -> int:
        time.sleep(0.003 * (number % 3))
        return number * number

    assert list(prefetched(range(20), read, workers)) == [n * n for n in range(20)]


def test_workers_read_at_the_same_time_and_ahead() -> None:
    """Three reads that wait for each other can only end if they overlap."""
    barrier = threading.Barrier(3, timeout=20)

    def read(number: int) -> int:
        if number < 3:
            barrier.wait()
        return number

    assert list(islice(prefetched(count(), read, 3), 5)) == [0, 1, 2, 3, 4]


def test_reading_ahead_has_a_limit() -> None:
    taken = []

    def items():
        for number in count():
            taken.append(number)
            yield number

    stream = prefetched(items(), lambda number: number, 2)
    assert next(stream) == 0
    assert len(taken) <= 6
    stream.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_where_its_result_is_due(workers: int) -> None:
    def read(number: int) -> float:
        return 1 / (2 - number)

    stream = prefetched(range(5), read, workers)
    assert [next(stream), next(stream)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(stream)
    assert not [t for t in threading.enumerate() if t.name.startswith("weft-data")]
