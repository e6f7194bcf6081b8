"""The choices worth keeping: none is at least as small in height, width and cycles as another."""

from __future__ import annotations

import numpy as np
from numba import njit

from ..machine.arrays import Bools, Ints


def pareto(height: Ints, width: Ints, cycles: Ints, order: Ints | None = None) -> Ints:
    """Indices of the Pareto set, smallest area first (then height, then cycles).

    Of choices equal in all three the first is kept. With an `order`, which is as `by_size` has it,
    the set is that of the choices in there.
    """
    order = by_size(height, width) if order is None else order
    found = order[_is_kept(height, width, cycles.astype(np.int64), order)]
    return found[np.lexsort((cycles[found], height[found], height[found] * width[found]))]


def by_size(height: Ints, width: Ints) -> Ints:
    """Indices by height, then by width, then as they come."""
    return np.argsort(height * (width.max(initial=0) + 1) + width, kind="stable")


@njit(cache=True)
def _is_kept(height: Ints, width: Ints, cycles: Ints, order: Ints) -> Bools:
    """Whether each choice in the order is faster than all before it that are no wider.

    `least` is a tree of running minima: entry w has those of the last (lowest bit of w) widths up
    to w (Fenwick, Software: Practice and Experience 24, 1994).
    """
    kept = np.zeros(len(order), np.bool_)
    widest = 0
    for choice in order:
        widest = max(widest, width[choice])
    least = np.full(widest + 1, np.iinfo(np.int64).max)
    at = 0
    while at < len(order):
        first, best = order[at], at
        while at < len(order) and (height[order[at]], width[order[at]]) == (
            height[first],
            width[first],
        ):
            if cycles[order[at]] < cycles[order[best]]:
                best = at
            at += 1
        found, before = cycles[order[best]], np.iinfo(np.int64).max
        below = width[first]
        while below > 0:
            before = min(before, least[below])
            below -= below & -below
        if found < before:
            kept[best] = True
            above = width[first]
            while above <= widest:
                least[above] = min(least[above], found)
                above += above & -above
    return kept
