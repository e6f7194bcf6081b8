"""The smallest initiation interval whose stages fit the machine, and which others are worth trying.

For an interval T every stage may use its choices whose arithmetic and streams take at most T
cycles. The smallest T whose stages can be packed is found by bisection over the cycles that occur;
packing is exact for strips (see strips.py), so a larger wafer or a faster choice never makes T
larger.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..mapping.choices import Kernels
from ..plan.infeasible import Contributor, InfeasibleReport, ProposedLever
from ..targets.load import known_targets, load_target
from ..targets.target import Target
from .strip_layouts import narrowest, shapes_within, wafers_taken
from .strips import columns_taken

_CONTRIBUTORS_SHOWN = 8
_TRIALS = 8
"""Intervals above the least that are tried if links are slower than stages."""


def smallest_interval(kernels: Kernels) -> int:
    """The least T in cycles such that choices of at most T cycles fit the grid together.

    Raises InfeasibleError if even the smallest choices do not fit.
    """
    floor = max(int(stage.sizes.interval_cycles.min()) for stage in kernels.stages)
    least = _smallest_interval(kernels, floor)
    if least is None:
        raise _report(kernels).error()
    return least


def worth_trying(kernels: Kernels, least: int) -> list[int]:
    """The least interval, then some of those above it, up to twice as long and most of them near
    it, and the least on fewer wafers."""
    above = [cycles for cycles in occurring(kernels) if least < cycles <= 2 * least]
    steps = least * (1 + 0.5 ** np.arange(_TRIALS))
    tried = {int(above[np.searchsorted(above, step, "right") - 1]) for step in steps if above}
    return [least, *sorted(tried.union(on_fewer_wafers(kernels, least)) - {least})]


def on_fewer_wafers(kernels: Kernels, least: int) -> Iterator[int]:
    """The least interval on each number of wafers but all, ascending, where the stages fit: there
    are fewer links between wafers, or none. What takes fewer wafers than there are is least on all
    between. `least` is that on all.
    """
    fewer, target = kernels, kernels.target
    while fewer.target.wafers > 1 and (wafers := _taken(fewer, least)) > 1:
        fewer = replace(kernels, target=replace(target, wafers=wafers - 1))
        longer = _smallest_interval(fewer, least)
        if longer is None:
            break
        least = longer
        yield least


def occurring(kernels: Kernels) -> list[int]:
    """Intervals of all choices, ascending."""
    intervals = [stage.sizes.interval_cycles for stage in kernels.stages]
    distinct = {id(cycles): cycles for cycles in intervals}  # equal stages share their sizes
    return np.unique(np.concatenate(list(distinct.values()))).tolist()


def pes_least(kernels: Kernels) -> int:
    """PEs of the chain up to the last column taken, each stage in its smallest form."""
    target = kernels.target
    smallest = sum(int(stage.sizes.areas.min()) for stage in kernels.stages)
    strips = narrowest(kernels, shapes_within(kernels, math.inf))
    taken = columns_taken(strips, target.columns) * target.rows if strips else 0
    return max(taken, smallest)


def wafers_least(kernels: Kernels) -> int:
    """The fewest wafers on which the smallest choices fit."""
    strips = narrowest(kernels, shapes_within(kernels, math.inf))
    if strips is None:
        raise ValueError("a stage has a choice that is larger than a wafer")
    return wafers_taken(strips, kernels.target)


def _smallest_interval(kernels: Kernels, floor: int) -> int | None:
    """The same from `floor` on; None if not even the smallest choices fit."""
    candidates = [cycles for cycles in occurring(kernels) if cycles >= floor]
    if not _fits(kernels, candidates[-1]):
        return None
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if _fits(kernels, candidates[middle]):
            high = middle
        else:
            low = middle + 1
    return candidates[low]


def _taken(kernels: Kernels, interval: int) -> int:
    """Wafers of the narrowest packing of choices that take at most `interval`."""
    strips = narrowest(kernels, shapes_within(kernels, interval))
    return wafers_taken(strips or (), kernels.target)


def _fits(kernels: Kernels, interval: int) -> bool:
    target, shapes = kernels.target, shapes_within(kernels, interval)
    distinct = {id(stage): stage for stage in shapes}
    areas = {key: int((s.heights * s.widths).min()) for key, s in distinct.items()}
    if sum(areas[id(stage)] for stage in shapes) > target.rows * target.columns * target.wafers:
        return False
    strips = narrowest(kernels, shapes)
    return strips is not None and wafers_taken(strips, target) <= target.wafers


def _report(kernels: Kernels) -> InfeasibleReport:
    target = kernels.target
    smallest = [int(stage.sizes.areas.min()) for stage in kernels.stages]
    demand = pes_least(kernels)
    largest = sorted(range(len(smallest)), key=lambda i: -smallest[i])[:_CONTRIBUTORS_SHOWN]
    return InfeasibleReport(
        subject=f"the network ({len(smallest)} stages)",
        target=target.name,
        demand=demand,
        bound=target.all_pes,
        unit="PEs",
        contributors=tuple(
            Contributor(f"stage {kernels.stages[i].stage}", smallest[i]) for i in largest
        ),
        try_levers=lambda: [
            ProposedLever(f"target {t.name}", demand, t.pes) for t in _larger(target)
        ],
    )


def _larger(target: Target) -> list[Target]:
    others = [load_target(name) for name in known_targets()]
    return [other for other in others if other.pes > target.pes]
