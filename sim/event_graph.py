"""The wiring of a plan as a timed event graph, for exact statements about its steady state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .cycle_ratio import Arc
from .wiring import Wiring

OWN = -1
"""Label of an arc that is a unit's own order; other labels are channel numbers."""


@dataclass(frozen=True)
class EventGraph:
    """A wiring as a timed event graph. Event 4 u + 2 phase is a unit's taking, the next its giving.

    Turns are samples. `order` says what a unit does when, `carry` that items take time, `room`
    that a FIFO is finite, `links` that a stream sends one item after the other.
    """

    wiring: Wiring

    @property
    def events(self) -> int:
        return 4 * len(self.wiring.units)

    @cached_property
    def order(self) -> tuple[Arc, ...]:
        arcs = [arc for u in range(len(self.wiring.units)) for arc in self._order(u)]
        return tuple(Arc(*arc, OWN) for arc in arcs)

    def _order(self, index: int) -> list[tuple[int, int, int, int]]:
        unit = self.wiring.units[index]
        take_f, give_f, take_b, give_b = range(4 * index, 4 * index + 4)
        forward, backward, update = unit.cycles
        if not unit.trains:
            return [(take_f, give_f, forward, 0), (give_f, take_f, 0, 1)]
        return [
            (take_f, give_f, forward, 0),
            (give_f, take_b, 0, -unit.delay),
            (take_b, give_b, backward, 0),
            (give_b, take_f, update, unit.delay + 1),
        ]

    @cached_property
    def carry(self) -> tuple[Arc, ...]:
        return tuple(
            Arc(give(c.producer, c.phase), take(c.consumer, c.phase), self._flight(n), 0, n)
            for n, c in enumerate(self.wiring.channels)
        )

    def _flight(self, number: int) -> int:
        channel = self.wiring.channels[number]
        return channel.occupancy_cycles + channel.latency_cycles

    @cached_property
    def room(self) -> tuple[Arc, ...]:
        return tuple(
            Arc(take(c.consumer, c.phase), give(c.producer, c.phase), 0, c.depth, n)
            for n, c in enumerate(self.wiring.channels)
        )

    @cached_property
    def links(self) -> tuple[Arc, ...]:
        return tuple(
            Arc(give(c.producer, c.phase), give(c.producer, c.phase), c.occupancy_cycles, 1, n)
            for n, c in enumerate(self.wiring.channels)
        )

    @property
    def arcs(self) -> tuple[Arc, ...]:
        return self.order + self.carry + self.room + self.links


def take(unit: int, phase: int) -> int:
    """The event of a unit taking the inputs of a phase."""
    return 4 * unit + 2 * phase


def give(unit: int, phase: int) -> int:
    """The event of a unit giving the outputs of a phase."""
    return 4 * unit + 2 * phase + 1
