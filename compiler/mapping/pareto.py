"""The choices worth keeping: none is at least as small in height, width and cycles as another."""

from __future__ import annotations

import numpy as np

from ..machine.arrays import Ints


def pareto(height: Ints, width: Ints, cycles: Ints) -> Ints:
    """Indices of the Pareto set, smallest area first (then height, then cycles).

    Of choices equal in all three the first is kept.
    """
    if len(height) == 0:
        return np.zeros(0, np.int64)
    order = np.lexsort((np.arange(len(cycles)), cycles, width, height))
    heights, row = np.unique(height, return_inverse=True)
    widths, column = np.unique(width, return_inverse=True)
    best = np.full((len(heights), len(widths)), np.iinfo(np.int64).max)
    np.minimum.at(best, (row, column), cycles)
    within = np.minimum.accumulate(np.minimum.accumulate(best, axis=0), axis=1)
    smaller = np.full_like(best, np.iinfo(np.int64).max)
    smaller[1:, :] = within[:-1, :]
    smaller[:, 1:] = np.minimum(smaller[:, 1:], within[:, :-1])
    is_kept = (cycles == best[row, column]) & (best < smaller)[row, column]
    kept = order[is_kept[order]]
    _, first = np.unique(row[kept] * len(widths) + column[kept], return_index=True)
    found = kept[first]
    return found[np.lexsort((cycles[found], height[found], height[found] * width[found]))]
