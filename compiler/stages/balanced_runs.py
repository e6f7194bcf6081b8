"""Contiguous runs of stages with balanced work: the cuts of granularity 'auto'."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Balanced:
    """Least largest sum over runs of consecutive items, for every number of runs.

    With P the prefix sums of `work` (not negative) and f_k(j) the least largest sum of the first j
    items in k runs,

        f_k(j) = min over i of  max(f_{k-1}(i), P(j) - P(i))

    The first term grows with i and the second falls, so the minimum is where they cross.
    """

    def __init__(self, work: Sequence[float], most: int) -> None:
        self.prefix = np.concatenate([[0.0], np.cumsum(np.asarray(work, np.float64))])
        items = np.arange(len(self.prefix))
        least = np.where(items == 0, 0.0, np.inf)
        self.starts: list[NDArray[np.int64]] = []
        for runs in range(1, min(most, len(work)) + 1):
            least, start = self._one_more(least, runs)
            self.starts.append(start)

    def bounds(self, runs: int) -> list[int]:
        """Where each of `runs` runs begins; none is empty."""
        found, end = [], len(self.prefix) - 1
        for start in reversed(self.starts[:runs]):
            end = int(start[end])
            found.append(end)
        return found[::-1]

    def _one_more(
        self, least: NDArray[np.float64], runs: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """f_runs and, for each j, the i that gives it: from runs - 1 to j - 1."""
        items = np.arange(len(self.prefix))
        low = runs - 1
        height = np.where(items >= low, least + self.prefix, -np.inf)
        crossing = np.searchsorted(height, self.prefix)
        best, start = np.full(len(items), np.inf), np.zeros(len(items), np.int64)
        for offset in (0, -1):
            i = np.clip(crossing + offset, low, np.maximum(items - 1, low))
            sums = np.maximum(least[i], self.prefix - self.prefix[i])
            better = (items >= runs) & (sums < best)
            best[better], start[better] = sums[better], i[better]
        return best, start


def fifo_bytes(saved: Sequence[int], bounds: Sequence[int]) -> int:
    """Bytes of all activation FIFOs if consecutive stages that save `saved` are runs.

    Run k of S holds 2(S-1-k) + 1 samples.
    """
    sums = np.add.reduceat(np.asarray(saved, np.float64), list(bounds))
    depths = 2 * np.arange(len(bounds) - 1, -1, -1) + 1
    return int(sums @ depths)


def balanced_bounds(
    work: Sequence[float], saved: Sequence[int], most: int, budget_bytes: float
) -> list[int]:
    """The bounds of the most balanced runs, as many as `most` and the budget of FIFOs allow.

    If not even one run fits the budget, one run.
    """
    balanced = Balanced(work, max(most, 1))
    for runs in range(len(balanced.starts), 1, -1):
        bounds = balanced.bounds(runs)
        if fifo_bytes(saved, bounds) <= budget_bytes:
            return bounds
    return [0]
