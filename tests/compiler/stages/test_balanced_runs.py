"""Balanced runs against trying all of them."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.stages.balanced_runs import Balanced, balanced_bounds, fifo_bytes

WORK = st.lists(st.integers(0, 20), min_size=1, max_size=8)


def _largest(work: list[int], bounds: list[int]) -> int:
    return max(sum(work[a:b]) for a, b in pairwise([*bounds, len(work)]))


def _all_bounds(count: int, runs: int):
    return ([0, *inner] for inner in combinations(range(1, count), runs - 1))


@given(WORK)
def test_the_largest_run_is_the_least_possible(work):
    balanced = Balanced(work, len(work))
    for runs in range(1, len(work) + 1):
        bounds = balanced.bounds(runs)
        assert len(bounds) == runs
        assert bounds[0] == 0
        assert all(a < b for a, b in pairwise([*bounds, len(work)]))
        assert _largest(work, bounds) == min(
            _largest(work, b) for b in _all_bounds(len(work), runs)
        )


@given(WORK, st.data())
def test_as_many_runs_as_the_budget_allows(work, data):
    saved = data.draw(st.lists(st.integers(0, 9), min_size=len(work), max_size=len(work)))
    most, budget = data.draw(st.integers(1, 9)), data.draw(st.integers(0, 200))
    bounds = balanced_bounds(work, saved, most, budget)
    assert len(bounds) <= min(most, len(work))
    assert len(bounds) == 1 or fifo_bytes(saved, bounds) <= budget
    balanced = Balanced(work, len(work))
    for runs in range(len(bounds) + 1, min(most, len(work)) + 1):
        assert fifo_bytes(saved, balanced.bounds(runs)) > budget


def test_fifo_bytes_by_hand():
    """Three runs hold 5, 3 and 1 samples."""
    assert fifo_bytes([10, 1, 2, 100], [0, 1, 3]) == 5 * 10 + 3 * 3 + 100
