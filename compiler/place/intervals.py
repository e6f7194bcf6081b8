"""The smallest initiation interval whose stages fit the machine, and which others are worth trying.

For an interval T every stage may use its choices whose arithmetic and streams take at most T
cycles. The smallest T whose stages can be packed is found by bisection over the cycles that occur;
packing is exact for strips (see strips.py), so a larger wafer or a faster choice never makes T
larger.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from ..mapping.choices import Kernels
from ..plan.infeasible import Contributor, InfeasibleReport, ProposedLever
from ..targets.load import known_targets, load_target
from ..targets.target import Target
from .strip_layouts import narrowest, shapes_within, wafers_taken
from .strips import StripShapes, columns_taken

_CONTRIBUTORS_SHOWN = 8
_TRIALS = 8
"""Intervals above the least that are tried if links are slower than stages."""


class Intervals:
    """Which intervals the stages can have. How many wafers the narrowest packing for an interval
    takes does not depend on how many the machine has: each interval is packed once."""

    def __init__(self, kernels: Kernels) -> None:
        self.occurring = occurring(kernels)
        self._kernels = kernels
        self._taken: dict[int, float] = {}

    @cached_property
    def least(self) -> int:
        """The least T in cycles such that choices of at most T cycles fit the grid together.

        Raises InfeasibleError if even the smallest choices do not fit.
        """
        floor = max(int(stage.sizes.interval_cycles.min()) for stage in self._kernels.stages)
        least = self._smallest(floor, self._kernels.target.wafers)
        if least is None:
            raise _report(self._kernels).error()
        return least

    def worth_trying(self) -> list[int]:
        """The least interval, then some of those above it, up to twice as long and most of them
        near it, and the least on fewer wafers."""
        least = self.least
        above = [cycles for cycles in self.occurring if least < cycles <= 2 * least]
        steps = least * (1 + 0.5 ** np.arange(_TRIALS))
        tried = {int(above[np.searchsorted(above, step, "right") - 1]) for step in steps if above}
        return [least, *sorted(tried.union(self.on_fewer_wafers()) - {least})]

    def on_fewer_wafers(self) -> Iterator[int]:
        """The least interval on each number of wafers but all, ascending, where the stages fit:
        there are fewer links between wafers, or none. What takes fewer wafers than there are is
        least on all between."""
        least, wafers = self.least, self._kernels.target.wafers
        while wafers > 1 and (taken := self._taken[least]) > 1:
            wafers = int(taken) - 1
            longer = self._smallest(least, wafers)
            if longer is None:
                break
            least = longer
            yield least

    def _smallest(self, floor: int, wafers: int) -> int | None:
        """The least from `floor` on, on so many wafers; None if even the smallest do not fit."""
        candidates = [cycles for cycles in self.occurring if cycles >= floor]
        if not self._fits(candidates[-1], wafers):
            return None
        return candidates[
            bisect_left(candidates, True, key=lambda cycles: self._fits(cycles, wafers))
        ]

    def _fits(self, interval: int, wafers: int) -> bool:
        if interval not in self._taken:
            shapes, target = shapes_within(self._kernels, interval), self._kernels.target
            if _least_area(shapes) > target.rows * target.columns * wafers:
                return False
            strips = narrowest(self._kernels, shapes)
            taken = math.inf if strips is None else wafers_taken(strips, target)
            self._taken[interval] = taken
        return self._taken[interval] <= wafers


def _least_area(shapes: Sequence[StripShapes]) -> int:
    """PEs of the smallest shapes of all stages."""
    counts = Counter(map(id, shapes))
    distinct = {id(stage): stage for stage in shapes}
    return sum(int((s.heights * s.widths).min()) * counts[key] for key, s in distinct.items())


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
