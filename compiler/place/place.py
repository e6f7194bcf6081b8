"""Balance and place: the packing of all stages for which the whole plan is fastest.

Stages, Kernels --place--> Placement

Packings in strips (see strip_layouts.py) are made for the least interval and for some above it (see
intervals.py), and compared by the pace of the plan that they make.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import inf
from typing import NamedTuple

import networkx as nx

from ..mapping.choices import Kernels, Placement
from ..mapping.pareto import SHARED_BY
from ..mapping.pricing import Known
from ..plan.program import Stages
from ..targets.target import Target
from .free_layout import Offer, freed, shortened
from .intervals import Intervals, wafers_least
from .known_places import known_packings, known_place
from .route import wire_length
from .slow import slowest_cycles
from .streams import Streams
from .strip_layouts import placements, shapes_within

_BISECTIONS = 3
_WALKS = 3
"""Intervals below that of strips whose packings are walked to shorter wires, at most."""
_SHORTEST, _OFFERS = 0.9, 24
"""A search looks for intervals down to a share of that of strips, so many of them at most."""


@dataclass(frozen=True)
class Place:
    """Choose and lay out one rectangle per stage, for the smallest initiation interval that fits.

    before: stage 0:  4 x  8 PEs, 2,250 cycles      after: stage 0: 8 x 16 PEs at (0, 0)
                      8 x 16 PEs,   610 cycles             stage 1: 4 x 16 PEs at (8, 0)

    Where room sets the interval the strips are then packed anew for shorter wires, by a short walk
    and, with `seconds`, by a search (see free_layout.py). What is `known` of other machines is not
    packed or placed again (see known_places.py).
    """

    seconds: float = 0.0
    known: Known | None = None

    def __call__(self, stages: Stages, kernels: Kernels) -> Placement:
        if self.known is None or self.seconds > 0:
            return place(stages, kernels, self.seconds)
        known, target = self.known, kernels.target

        def chosen() -> Placement:
            packings = known_packings(known, stages, kernels, lambda: Packings(stages, kernels))
            return choose(packings, target)

        return known_place(known, stages, kernels, chosen)


def place(stages: Stages, kernels: Kernels, seconds: float = 0.0) -> Placement:
    """Choose one choice per stage and lay the rectangles out, consecutive stages side by side.

    Packings are compared by the interval of the whole plan: stages with their slow cores, and
    streams on the links that they share. If the links of all packings for the least interval of the
    stages are slower than the stages, slower stages with other packings are tried. Of equal ones
    that with the shortest wires wins. Deterministic; but what `seconds` of searching for shorter
    wires find depends on the machine. Wires are shortened if the interval is then no longer than
    that of strips. Raises InfeasibleError if nothing fits the grid.
    """
    return choose(Packings(stages, kernels), kernels.target, seconds)


class Packings:
    """Packings of the stages for an interval, each made once, and which intervals are worth trying:
    the same for all machines that placing tells apart by the host's cycles for a sample alone."""

    def __init__(self, stages: Stages, kernels: Kernels) -> None:
        """Raises InfeasibleError if nothing fits the grid."""
        intervals = Intervals(kernels)
        is_crowded = _is_crowded(kernels, intervals.least)
        finer = kernels
        if kernels.finer and is_crowded:
            finer = kernels.finer(kernels, intervals.least)
            intervals = Intervals(finer)
        self.is_crowded = is_crowded and not kernels.features_on_columns
        self.stages, self.kernels = stages, finer
        self.intervals = intervals.worth_trying()
        self.occurring = intervals.occurring
        self.wafers_least = wafers_least(finer)
        self._of: dict[int, list[_Ranked]] = {}
        self._shorter: dict[int, Placement] = {}

    def of(self, interval: int) -> list[_Ranked]:
        """Those of choices that take at most `interval`."""
        if interval not in self._of:
            found = (
                p for sharing in SHARED_BY for p in placements(self.kernels, interval, sharing)
            )
            once = {tuple((id(one.choice), one.region) for one in p.placed): p for p in found}
            self._of[interval] = _ranked(once.values(), self.stages.dag)
        return self._of[interval]

    def shorter(self, strips: Placement) -> Placement:
        """One of the packings after a short walk to shorter wires, made once."""
        key = id(strips)
        if key not in self._shorter:
            offer = self._offer(_slowest(strips))
            self._shorter[key] = shortened(strips, self.kernels.stages, offer, self.stages.dag)
        return self._shorter[key]

    def freed(self, strips: Placement, seconds: float) -> Placement:
        """One of the packings after a search for a shorter interval and shorter wires."""
        slowest = _slowest(strips)
        floor = max(int(stage.sizes.interval_cycles.min()) for stage in self.kernels.stages)
        least = max(floor, int(_SHORTEST * slowest))
        shorter = [cycles for cycles in self.occurring if least <= cycles < slowest]
        some = shorter[:: max(1, len(shorter) // _OFFERS)] if self.is_crowded else []
        offers = [*map(self._offer, some), self._offer(slowest)]
        return freed(strips, self.kernels.stages, offers, self.stages.dag, seconds)

    def _offer(self, interval: int) -> Offer:
        return Offer(interval, shapes_within(self.kernels, interval))


def _slowest(placement: Placement) -> int:
    """Cycles of the slowest region; its slow cores are not counted."""
    regions = placement.by_region.values()
    return max(sum(one.choice.interval_cycles for one in users) for users in regions)


def choose(packings: Packings, target: Target, seconds: float = 0.0) -> Placement:
    """The best of the packings for a machine, off the strips where that is better."""
    streams, dag = Streams(packings.stages, target), packings.stages.dag
    strips = best = _in_strips(packings, streams)
    if packings.is_crowded:
        best = _walked(packings, streams, strips)
    if seconds > 0:
        free = packings.freed(strips.placement, seconds)
        best = _best(_ranked([free], dag), streams, best) or best
    return replace(best.placement, target=target, wafers_least=packings.wafers_least)


def _in_strips(packings: Packings, streams: Streams) -> _Candidate:
    """The best of the packings in strips."""
    best = None
    for interval in packings.intervals:
        best = _tried(packings, interval, streams, best)
    assert best is not None
    return _refined(packings, streams, best)


def _walked(packings: Packings, streams: Streams, strips: _Candidate) -> _Candidate:
    """Off the strips, if that is better: those of the best packing, then those of some for shorter
    intervals, whose links were too slow while wires were long. The first better one is taken."""

    def off(placement: Placement, best: _Candidate) -> _Candidate:
        ranked = _ranked([packings.shorter(placement)], packings.stages.dag)
        return _best(ranked, streams, best) or best

    best = off(strips.placement, strips)
    for cycles in packings.intervals[:_WALKS]:
        if cycles >= best.interval:
            break
        found = off(packings.of(cycles)[0].placement, best)
        if found is not best:
            return found
    return best


def _is_crowded(kernels: Kernels, least: int) -> bool:
    """Whether room on the machine sets the least interval, not a stage's fastest tiling."""
    return least > max(int(stage.sizes.interval_cycles.min()) for stage in kernels.stages)


def estimated_interval(stages: Stages, kernels: Kernels, below: float = inf) -> float:
    """The interval of the best packing of the choices that are fast enough for the stages alone, on
    all wafers or on fewer: most of what `place` tries, in less time. Infinite if it is not
    `below`: then less is tried."""
    streams, intervals = Streams(stages), Intervals(kernels)
    best = _Candidate(below, 0, Placement(kernels.target, ()))
    for interval in chain([intervals.least], intervals.on_fewer_wafers()):
        if interval >= best.interval:
            break
        ranked = _ranked(placements(kernels, interval), stages.dag)
        best = _best(ranked, streams, best) or best
    return best.interval if best.interval < below else inf


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
