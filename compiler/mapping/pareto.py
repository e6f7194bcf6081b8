"""The choices worth keeping: none is at least as small in height, width and cycles as another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ...backend.per_object import once_per_object
from ..kernels.stage import StageTable
from ..machine.arrays import Bools, Ints
from ..machine.tilings import Tilings

SHARED_BY = (1, 2, 3)
"""So many streams may share the links at a side of a region: its own, and those that pass there.
The more do, the longer the side that is worth keeping; placement finds out how many."""


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


@dataclass(frozen=True)
class KeptTilings:
    """Tilings worth keeping, by number, with their sizes."""

    tilings: Ints
    heights: Ints
    widths: Ints
    interval_cycles: Ints
    stream_cycles: Ints


@once_per_object
def pareto_sets(_: StageTable) -> dict[bytes, KeptTilings]:
    """Those of a table that were found, by the tilings that fit."""
    return {}


def kept_tilings(table: StageTable, fits: Ints) -> KeptTilings:
    """Those of the tilings `fits` worth keeping."""
    height, width = table.sides
    cycles, streams = table.total_cycles(), table.stream_cycles
    is_fit = np.zeros(len(height), bool)
    is_fit[fits] = True
    order = by_size(*table.sides) if table.apart else _by_size(table.tilings)
    interval = np.maximum(cycles, streams)
    kept = kept_sizes(height, width, interval, streams, order[is_fit[order]])
    return KeptTilings(kept, *(values[kept] for values in (height, width, interval, streams)))


def kept_sizes(
    height: Ints, width: Ints, interval: Ints, streams: Ints, order: Ints | None = None
) -> Ints:
    """Indices of the choices worth keeping, however many streams share links, as `pareto` has
    them."""
    found = [pareto(height, width, np.maximum(interval, n * streams), order) for n in SHARED_BY]
    kept = np.unique(np.concatenate(found))
    return kept[np.lexsort((interval[kept], height[kept], (height * width)[kept]))]


@once_per_object
def _by_size(tilings: Tilings) -> Ints:
    return by_size(tilings.height, tilings.width)
