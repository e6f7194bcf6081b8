"""Balance and place: the smallest initiation interval for which all stages fit the wafer.

Stages, Kernels --place--> Placement

For an interval T every stage may use its choices whose arithmetic and streams take at most T
cycles. The smallest T whose stages can be packed is found by bisection over the cycles that occur;
packing is exact for strips (see strips.py), so a larger wafer or a faster choice never makes T
larger.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import NamedTuple

import networkx as nx
import numpy as np

from ..mapping.choices import Kernels, PlacedStage, Placement, Sizes
from ..mapping.pareto import SHARED_BY
from ..mapping.pricing import Known
from ..plan.infeasible import Contributor, InfeasibleReport, ProposedLever
from ..plan.program import HOST, Stages
from ..plan.stage_record import Rectangle
from ..targets.load import known_targets, load_target
from ..targets.target import Target
from .free_layout import freed
from .known_places import known_packings, known_place
from .route import route
from .shift import shifted
from .slow import slowest_cycles
from .streams import Streams
from .strips import (
    Row,
    Strip,
    StripShapes,
    columns_taken,
    partition,
    partitions,
    shape_within,
    wafers_of,
)

_HEIGHT_WEIGHTS = (0.0, 0.01, 0.05, 0.2, 1.0)
"""The next packing for one of these is made as long as the one before fits."""
_CONTRIBUTORS_SHOWN = 8
_TRIALS = 8
"""Intervals above the least that are tried if links are slower than stages."""
_BISECTIONS = 3


@dataclass(frozen=True)
class Place:
    """Choose and lay out one rectangle per stage, for the smallest initiation interval that fits.

    before: stage 0:  4 x  8 PEs, 2,250 cycles      after: stage 0: 8 x 16 PEs at (0, 0)
                      8 x 16 PEs,   610 cycles             stage 1: 4 x 16 PEs at (8, 0)

    With `seconds` the strips are then packed anew for shorter wires (see free_layout.py). What is
    `known` of other machines is not packed or placed again (see known_places.py).
    """

    seconds: float = 0.0
    known: Known | None = None

    def __call__(self, stages: Stages, kernels: Kernels) -> Placement:
        if self.known is None or self.seconds > 0:
            return place(stages, kernels, self.seconds)
        known, target = self.known, kernels.target

        def chosen() -> Placement:
            packings = known_packings(known, stages, kernels, lambda: Packings(stages, kernels))
            return choose(packings, target)[0]

        return known_place(known, stages, kernels, chosen)


def place(stages: Stages, kernels: Kernels, seconds: float = 0.0) -> Placement:
    """Choose one choice per stage and lay the rectangles out, consecutive stages side by side.

    Packings are compared by the interval of the whole plan: stages with their slow cores, and
    streams on the links that they share. If the links of all packings for the least interval of the
    stages are slower than the stages, slower stages with other packings are tried. Of equal ones
    that with the shortest wires wins. Deterministic; but what `seconds` of searching for shorter
    wires find depends on the machine. It is taken if its interval is no longer than that of strips.
    Raises InfeasibleError if nothing fits the grid.
    """
    packings = Packings(stages, kernels)
    placement, interval = choose(packings, kernels.target)
    if seconds > 0:
        slowest = max(
            sum(one.choice.interval_cycles for one in users)
            for users in placement.by_region.values()
        )
        finest = packings.kernels
        shapes = _shapes(finest, slowest)
        free = freed(placement, finest.stages, shapes, stages.dag, seconds)
        best = _Candidate(interval, wire_length(placement, stages.dag), placement)
        better = _best(_ranked([free], stages.dag), Streams(stages), best) or best
        return replace(better.placement, wafers_least=placement.wafers_least)
    return placement


class Packings:
    """Packings of the stages for an interval, each made once, and which intervals are worth trying:
    the same for all machines that placing tells apart by the host's cycles for a sample alone."""

    def __init__(self, stages: Stages, kernels: Kernels) -> None:
        """Raises InfeasibleError if nothing fits the grid."""
        least = smallest_interval(kernels)
        finer = _finer(kernels, least)
        self.stages, self.kernels = stages, finer
        self.least = least if finer is kernels else smallest_interval(finer)
        self.intervals = _worth_trying(finer, self.least)
        self.occurring = _occurring(finer)
        self.wafers_least = wafers_least(finer)
        self._of: dict[int, list[_Ranked]] = {}

    def of(self, interval: int) -> list[_Ranked]:
        """Those of choices that take at most `interval`."""
        if interval not in self._of:
            found = (
                p for sharing in SHARED_BY for p in _placements(self.kernels, interval, sharing)
            )
            once = {tuple((id(one.choice), one.region) for one in p.placed): p for p in found}
            self._of[interval] = _ranked(once.values(), self.stages.dag)
        return self._of[interval]


def choose(packings: Packings, target: Target) -> tuple[Placement, float]:
    """The best of the packings for a machine, and its interval."""
    streams, best = Streams(packings.stages, target), None
    for interval in packings.intervals:
        best = _tried(packings, interval, streams, best)
    assert best is not None
    best = _refined(packings, streams, best)
    placement = replace(best.placement, target=target, wafers_least=packings.wafers_least)
    return placement, best.interval


def _finer(kernels: Kernels, least: int) -> Kernels:
    """The kernels, with finer tilings about the least interval if room on the machine sets it."""
    alone = max(int(stage.sizes.interval_cycles.min()) for stage in kernels.stages)
    return kernels.finer(kernels, least) if kernels.finer and least > alone else kernels


def estimated_interval(stages: Stages, kernels: Kernels) -> float:
    """The interval of the best packing of the choices that are fast enough for the stages alone, on
    all wafers or on fewer: most of what `place` tries, in less time."""
    streams, best = Streams(stages), None
    least = smallest_interval(kernels)
    for interval in sorted({least, *_on_fewer_wafers(kernels, least)}):
        if best is None or interval < best.interval:
            ranked = _ranked(_placements(kernels, interval), stages.dag)
            best = _best(ranked, streams, best)
    assert best is not None
    return best.interval


@dataclass(frozen=True)
class _Candidate:
    """A placement with its interval and the length of its wires."""

    interval: float
    wires: int
    placement: Placement


class _Ranked(NamedTuple):
    """A placement with the cycles of its slowest region and the length of its wires."""

    slowest: int
    wires: int
    placement: Placement


def _ranked(placements: Iterable[Placement], dag: nx.DiGraph) -> list[_Ranked]:
    """Placements, those with the fastest stages first, of equal ones those with short wires."""
    found = [_Ranked(slowest_cycles(p), wire_length(p, dag), p) for p in placements]
    return sorted(found, key=lambda one: one[:2])


def _tried(
    packings: Packings, interval: int, streams: Streams, best: _Candidate | None
) -> _Candidate | None:
    """The best of the packings for an interval as well."""
    if best is not None and best.interval <= interval:
        return best
    return _best(packings.of(interval), streams, best)


def _refined(packings: Packings, streams: Streams, best: _Candidate) -> _Candidate:
    """The best of packings for some more intervals, between the one that was found and the longest
    of those that were tried and gave longer ones."""
    low = max((cycles for cycles in packings.intervals if cycles < best.interval), default=0)
    for _ in range(_BISECTIONS if low else 0):
        between = [cycles for cycles in packings.occurring if low < cycles < best.interval]
        if not between:
            break
        middle = between[len(between) // 2]
        found = _tried(packings, middle, streams, best) or best
        low = low if found.interval < best.interval else middle
        best = found
    return best


def _best(
    ranked: Sequence[_Ranked], streams: Streams, best: _Candidate | None
) -> _Candidate | None:
    """The best of all; the pace of one whose stages or links alone are slower than `best` is not
    asked."""
    for slowest, wires, placement in ranked:
        if best is not None and slowest > best.interval:
            break
        pace = streams.pace(placement)
        if best is not None and pace.bounds[0].cycles > best.interval:
            continue
        interval = pace.interval_cycles
        if best is None or (interval, wires) < (best.interval, best.wires):
            best = _Candidate(interval, wires, placement)
        if interval <= slowest:
            break
    return best


def _worth_trying(kernels: Kernels, least: int) -> list[int]:
    """The least interval, then some of those above it, up to twice as long and most of them near
    it, and the least on fewer wafers."""
    above = [cycles for cycles in _occurring(kernels) if least < cycles <= 2 * least]
    steps = least * (1 + 0.5 ** np.arange(_TRIALS))
    tried = {int(above[np.searchsorted(above, step, "right") - 1]) for step in steps if above}
    return [least, *sorted((tried | _on_fewer_wafers(kernels, least)) - {least})]


def _on_fewer_wafers(kernels: Kernels, least: int) -> set[int]:
    """The least interval on each number of wafers but all, where the stages fit: there are fewer
    links between wafers, or none. What takes fewer wafers than there are is least on all between.
    `least` is that on all.
    """
    found: set[int] = set()
    fewer, target = kernels, kernels.target
    while fewer.target.wafers > 1 and (wafers := _taken(fewer, least)) > 1:
        fewer = replace(kernels, target=replace(target, wafers=wafers - 1))
        longer = _smallest_interval(fewer, least)
        if longer is None:
            break
        least = longer
        found.add(least)
    return found


def _taken(kernels: Kernels, interval: int) -> int:
    """Wafers of the narrowest packing of choices that take at most `interval`."""
    strips = _narrowest(kernels, _shapes(kernels, interval))
    return _wafers(strips or (), kernels.target)


def _placements(kernels: Kernels, interval: int, sharing: int = 1) -> list[Placement]:
    """Packings of the choices that take at most `interval`, with their streams if `sharing` of them
    share links, where a stage has such; some moved past slow cores."""
    target, shapes = kernels.target, _shapes(kernels, interval, sharing)
    grid = target.rows, target.columns
    packings = takewhile(
        lambda strips: strips is not None and _wafers(strips, target) <= target.wafers,
        partitions(shapes, *grid, _HEIGHT_WEIGHTS, kernels.abreast),
    )
    return [
        moved
        for strips in dict.fromkeys(packings)
        if strips is not None
        for moved in shifted(_lay_out(kernels, shapes, strips))
    ]


def pes_least(kernels: Kernels) -> int:
    """PEs of the chain up to the last column taken, each stage in its smallest form."""
    target = kernels.target
    smallest = sum(int(stage.sizes.areas.min()) for stage in kernels.stages)
    strips = _narrowest(kernels, _shapes(kernels, math.inf))
    taken = columns_taken(strips, target.columns) * target.rows if strips else 0
    return max(taken, smallest)


def wafers_least(kernels: Kernels) -> int:
    """The fewest wafers on which the smallest choices fit."""
    strips = _narrowest(kernels, _shapes(kernels, math.inf))
    if strips is None:
        raise ValueError("a stage has a choice that is larger than a wafer")
    return _wafers(strips, kernels.target)


def _narrowest(kernels: Kernels, shapes: Sequence[StripShapes]) -> tuple[Strip, ...] | None:
    """The strips of least total width; None if a stage fits none."""
    grid = kernels.target.rows, kernels.target.columns
    return partition(shapes, *grid, abreast=kernels.abreast)


def _wafers(strips: Sequence[Strip], target: Target) -> int:
    return wafers_of(strips, target.columns)[-1] + 1 if strips else 0


def wire_length(placement: Placement, dag: nx.DiGraph) -> int:
    """Hops of all edges between stages, centre to centre."""
    columns = placement.target.columns
    regions = {placed.stage: placed.region.on_chain(columns) for placed in placement.placed}
    edges = [edge for edge in dag.edges if HOST not in edge]
    return sum(route(regions[source], regions[sink])[1] for source, sink in edges)


def smallest_interval(kernels: Kernels) -> int:
    """The least T in cycles such that choices of at most T cycles fit the grid together.

    Raises InfeasibleError if even the smallest choices do not fit.
    """
    floor = max(int(stage.sizes.interval_cycles.min()) for stage in kernels.stages)
    least = _smallest_interval(kernels, floor)
    if least is None:
        raise _report(kernels).error()
    return least


def _smallest_interval(kernels: Kernels, floor: int) -> int | None:
    """The same from `floor` on; None if not even the smallest choices fit."""
    candidates = [cycles for cycles in _occurring(kernels) if cycles >= floor]
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


def _occurring(kernels: Kernels) -> list[int]:
    """Intervals of all choices, ascending."""
    intervals = [stage.sizes.interval_cycles for stage in kernels.stages]
    distinct = {id(cycles): cycles for cycles in intervals}  # equal stages share their sizes
    return np.unique(np.concatenate(list(distinct.values()))).tolist()


def _shapes(kernels: Kernels, interval: float, sharing: int = 1) -> list[StripShapes]:
    """The shapes of every stage; stages that share their sizes share them, too."""
    found: dict[int, StripShapes] = {}
    for stage in kernels.stages:
        key = id(stage.sizes.interval_cycles)
        if key not in found:
            found[key] = _fast_enough(stage.sizes, interval, sharing, kernels.features_on_columns)
    return [found[id(stage.sizes.interval_cycles)] for stage in kernels.stages]


def _fast_enough(
    sizes: Sizes, interval: float, sharing: int, features_on_columns: bool
) -> StripShapes:
    """As they are and, unless features lie on columns, turned: links are alike in both
    directions."""
    is_fast = sizes.interval_cycles <= interval
    streams = is_fast & (sharing * sizes.stream_cycles <= interval)
    numbers = np.flatnonzero(streams if streams.any() else is_fast)
    sides = sizes.heights[numbers], sizes.widths[numbers]
    if features_on_columns:
        return StripShapes(*sides, numbers)
    heights, widths = (np.concatenate(both) for both in (sides, sides[::-1]))
    return StripShapes(heights, widths, np.concatenate((numbers, numbers)))


def _fits(kernels: Kernels, interval: int) -> bool:
    target, shapes = kernels.target, _shapes(kernels, interval)
    distinct = {id(stage): stage for stage in shapes}
    areas = {key: int((s.heights * s.widths).min()) for key, s in distinct.items()}
    if sum(areas[id(stage)] for stage in shapes) > target.rows * target.columns * target.wafers:
        return False
    strips = _narrowest(kernels, shapes)
    return strips is not None and _wafers(strips, target) <= target.wafers


def _lay_out(kernels: Kernels, shapes: Sequence[StripShapes], strips: Sequence[Strip]) -> Placement:
    """Strips left to right, wafer by wafer; the pipeline runs down one and up the next."""
    placed: list[PlacedStage] = []
    row, column, wafer, downwards = 0, 0, 0, True
    for strip, own in zip(strips, wafers_of(strips, kernels.target.columns), strict=True):
        column, wafer = (column, own) if own == wafer else (0, own)
        stack = sum(one.height for one in strip.rows)
        rows = kernels.target.rows
        row = min(row, rows - stack) if downwards else max(row, stack)
        turns = 0
        for one in strip.rows:
            top = row if downwards else row - one.height
            place = Rectangle(top, column, one.height, strip.width, wafer)
            placed += _abreast(kernels, shapes, one, place, downwards, turns % 2 == 0)
            row += one.height if downwards else -one.height
            turns += one.last - one.first > 1
        column += strip.width
        downwards = not downwards
    return Placement(kernels.target, tuple(sorted(placed, key=lambda one: one.stage)))


def _abreast(
    kernels: Kernels,
    shapes: Sequence[StripShapes],
    row: Row,
    place: Rectangle,
    at_top: bool,
    rightwards: bool,
) -> Iterator[PlacedStage]:
    """The stages of a row at the left of its place, one after the other to the right, or from the
    right to the left."""
    stages, column = range(row.first, row.last), place.column
    for stage in stages if rightwards else reversed(stages):
        shape = shape_within(shapes[stage], place.height, place.width)
        top = place.row + (0 if at_top else place.height - shape.height)
        region = Rectangle(top, column, shape.height, shape.width, place.wafer)
        yield from kernels.stages[stage].placed(shape.choice, region)
        column += shape.width


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
