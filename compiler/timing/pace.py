"""The steady pace of a plan: cycles between two samples, exact, and what sets them.

The interval is the maximum cycle ratio of the plan's event graph: the slowest stage, stream or
host, or a loop through FIFOs that are too shallow for their distance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from ..plan.causes import Bound
from .cycle_ratio import Critical, maximum_cycle_ratio
from .event_graph import EventGraph
from .host import host_paces
from .layout import Layout
from .shared_regions import users, with_turns
from .wiring import Wiring, wire


@dataclass(frozen=True)
class Pace:
    """`bounds` are all stages, streams and the host by their cycles per sample, slowest first: the
    interval is no shorter. The rest is found when it is asked for."""

    layout: Layout
    wiring: Wiring
    bounds: tuple[Bound, ...]

    @cached_property
    def graph(self) -> EventGraph:
        """Who waits for whom, and how long."""
        return EventGraph(with_turns(self.layout, self.wiring))

    @cached_property
    def critical(self) -> Critical:
        """The slowest cycle of the graph; without a ratio the stages wait for each other."""
        stuck = maximum_cycle_ratio(self.graph.events, self.graph.waits)
        if stuck.ratio is None:
            return stuck
        return maximum_cycle_ratio(self.graph.events, self.graph.arcs)

    @property
    def is_stuck(self) -> bool:
        return self.critical.ratio is None

    @cached_property
    def interval_cycles(self) -> float:
        """Cycles between two samples in the mean; infinite if nothing moves."""
        ratio = self.critical.ratio
        return math.inf if ratio is None else max(float(ratio), 1.0)

    @property
    def period(self) -> int:
        """Samples after which the steady state repeats itself on the critical cycle."""
        return max(1, sum(arc.tokens for arc in self.critical.arcs))

    @cached_property
    def bound(self) -> Bound:
        """What sets the interval."""
        if self.is_stuck:
            return Bound("deadlock", _loop(self.graph, self.critical), math.inf)
        slowest = self.bounds[0]
        if slowest.cycles >= self.interval_cycles:
            return slowest
        return Bound("loop", _loop(self.graph, self.critical), self.interval_cycles)

    @cached_property
    def next_bound(self) -> Bound | None:
        """What would set it if the bound, and others of the same cause and pace, were gone."""
        bound = self.bound
        others = (b for b in self.bounds if (b.cause, b.cycles) != (bound.cause, bound.cycles))
        return next(others, None)


@lru_cache(maxsize=4)
def pace_of(layout: Layout) -> Pace:
    """The pace of stages on a mesh, found once for a plan and its simulation. Raises UserError for
    a layout that cannot be wired."""
    wiring = wire(layout)
    bounds = sorted(_bounds(layout, wiring), key=lambda bound: -bound.cycles)
    return Pace(layout, wiring, tuple(bounds))


def _bounds(layout: Layout, wiring: Wiring) -> Iterator[Bound]:
    for site, unit in zip(layout.sites, wiring.units, strict=False):
        yield Bound(site.bound_by, site.id, unit.pace_cycles)
    for stages in users(layout):
        own = [(wiring.units[number], layout.sites[number]) for number in stages]
        slowest = max(own, key=lambda one: one[0].pace_cycles)[1]
        names = " + ".join(site.id for _, site in own)
        yield Bound(slowest.bound_by, names, sum(unit.pace_cycles for unit, _ in own))
    for channel in wiring.channels:
        yield Bound(channel.cause, wiring.label(channel), channel.occupancy_cycles)
    for at, cycles in host_paces(layout):
        yield Bound("host", at, cycles)


def _loop(graph: EventGraph, critical: Critical) -> str:
    """Names the FIFOs without room on the critical cycle; if there are none it is all latency."""
    label, channels = graph.wiring.label, graph.wiring.channels
    room = {*graph.room, *graph.places}
    full = dict.fromkeys(arc.label for arc in critical.arcs if arc in room)
    names = [f"{label(channels[n])} of depth {channels[n].depth}" for n in full]
    return "FIFO " + ", ".join(names) if names else "latency around a loop of stages"
