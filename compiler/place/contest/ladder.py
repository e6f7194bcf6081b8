"""Time limits: those that matter, those worth trying, and a few that stand for all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..packing.placed import fits
from ..packing.rows import row_layouts
from .sizes import KernelSizes, too_large
from .sizing import critical_times
from .starts import orders


def time_range(sizes: KernelSizes) -> tuple[float, float]:
    """The least time whose areas fit, and one at which simple rows fit for sure to be tried."""
    instance = sizes.instance
    kernels = instance.kernels
    most = max(float(one.H * one.W * one.C * one.K * one.R * one.S / one.T**2)
               for kernel in kernels for one in kernel.convolutions)  # fmt: skip
    tiles = instance.columns * instance.rows
    if sizes.area(most) > tiles:
        raise too_large(sizes, most)
    low, high = 0.0, most
    while high - low > 1e-6 * high:
        middle = 0.5 * (low + high)
        if sizes.area(middle) <= tiles:
            high = middle
        else:
            low = middle
    least = critical_times(kernels, low, high * (1 + 2e-6))
    least = next(float(limit) for limit in least if sizes.area(limit) <= tiles)
    return least, most


def worth_trying(sizes: KernelSizes, low: float, most: float) -> np.ndarray:
    """All critical times that could be the C_time of a placement better than simple rows."""
    best, limit, ways = np.inf, low, orders(sizes.instance)
    wt = sizes.instance.time_weight
    while limit < most * 1.1 and (wt * limit < best or best == np.inf):
        problem = sizes.problem(np.array([limit]))
        found = [one for order in ways for one in row_layouts(problem, order, 0, (1.0,))]
        best = min([best, *(one.cost for one in found if fits(problem, one))])
        limit *= 1.03
    top = min(limit, most) if wt == 0 or best == np.inf else min(best / wt, most)
    limits = critical_times(sizes.instance.kernels, low, max(top, low))
    ends = np.append(limits[:: max(1, len(limits) // 64)], limits[-1])
    worth = [b for a, b in pairwise(ends) if wt * a + sizes.least_wire(b) <= best]
    return limits if best == np.inf or not worth else limits[limits <= worth[-1]]


def thinned(limits: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the limits, evenly spread by their logarithm, the ends among them."""
    if len(limits) <= count:
        return limits
    wanted = np.geomspace(limits[0], limits[-1], count)
    return limits[np.unique(np.searchsorted(limits, wanted * (1 + 1e-12), side="right") - 1)]


def changes_near(sizes: KernelSizes, limits: np.ndarray, level: int, count: int) -> np.ndarray:
    """All critical times from the neighbours below to those above the best one's."""
    all_low = limits[0]
    low = limits[max(0, level - 12)]
    high = limits[min(len(limits) - 1, level + 6)]
    near = critical_times(sizes.instance.kernels, max(low, all_low), high)
    sizes.between(near)
    changed = [near[0]]
    for limit in near[1:]:
        kernels = range(len(sizes.instance.kernels))
        if any(sizes.curve(k, limit) is not sizes.curve(k, changed[-1])
               and not np.array_equal(sizes.curve(k, limit), sizes.curve(k, changed[-1]))
               for k in kernels):  # fmt: skip
            changed.append(limit)
    return thinned(np.array(changed), count)
