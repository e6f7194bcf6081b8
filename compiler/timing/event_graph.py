"""The wiring of a plan as timed event graphs, for exact statements about its steady state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from .cycle_ratio import Arc
from .part_cycles import PartCycles, part_cycles
from .wiring import BACKWARD, FORWARD, Wiring

OWN = -1
"""Label of an arc that is a unit's own order; other labels are channel numbers."""


@dataclass(frozen=True)
class EventGraph:
    """When things happen. Turns are samples.

    Of every unit and phase: it begins, it has done all work, it has given its outputs. Of every
    channel: an item departs, the links are free again, the consumer has taken it. `order` says
    what a unit does when, `carry` that items take time, `room` that a FIFO is finite, `links` that
    a stream sends one item after the other.
    """

    wiring: Wiring

    @property
    def events(self) -> int:
        return 6 * len(self.wiring.units) + 3 * len(self.wiring.channels)

    @cached_property
    def order(self) -> tuple[Arc, ...]:
        arcs = [arc for u in range(len(self.wiring.units)) for arc in self._order(u)]
        return tuple(Arc(*arc, OWN) for arc in arcs)

    def _order(self, index: int) -> Iterator[tuple[int, int, int, int]]:
        unit = self.wiring.units[index]
        for phase in (FORWARD, BACKWARD) if unit.trains else (FORWARD,):
            yield begin(index, phase), done(index, phase), unit.cycles[phase], 0
            yield done(index, phase), given(index, phase), 0, 0
        if unit.apart:
            yield from self._abreast(index)
        elif unit.trains:
            before, after = (unit.cycles[2], 0) if unit.update_waits else (0, unit.cycles[2])
            yield given(index, FORWARD), begin(index, BACKWARD), before, -unit.delay
            yield given(index, BACKWARD), begin(index, FORWARD), after, unit.delay + 1
        else:
            yield given(index, FORWARD), begin(index, FORWARD), 0, 1
        if unit.turn is not None and index < min(unit.turn.others):
            yield from self._round(sorted((index, *unit.turn.others)))

    def _abreast(self, index: int) -> Iterator[tuple[int, int, int, int]]:
        """Forward beside backward and update: both wait for both of the tick before."""
        unit = self.wiring.units[index]
        update = unit.cycles[2]
        yield given(index, FORWARD), begin(index, FORWARD), 0, 1
        yield given(index, BACKWARD), begin(index, BACKWARD), update, 1
        yield given(index, FORWARD), begin(index, BACKWARD), 0, -unit.delay
        yield given(index, BACKWARD), begin(index, FORWARD), update, unit.delay + 2

    def _round(self, stages: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
        """Phases of the stages of a region, one after the other; the first follows the last of the
        round before."""
        phases = [(stage, FORWARD) for stage in reversed(stages)]
        phases += [(stage, BACKWARD) for stage in stages]
        following = [*phases[1:], phases[0]]
        for number, (one, other) in enumerate(zip(phases, following, strict=True)):
            update = self.wiring.units[one[0]].cycles[2] if one[1] == BACKWARD else 0
            samples = self._since(*one) - self._since(*other) + (number + 1 == len(phases))
            yield given(*one), begin(*other), update, samples

    def _since(self, stage: int, phase: int) -> int:
        """Rounds from when a region's first stage begins a sample until this phase of it."""
        unit = self.wiring.units[stage]
        return (unit.turn.ahead if unit.turn else 0) + (unit.delay if phase == BACKWARD else 0)

    @cached_property
    def parts(self) -> PartCycles:
        return part_cycles(self.wiring)

    @cached_property
    def carry(self) -> tuple[Arc, ...]:
        return tuple(
            Arc(tail, head, int(weight), 0, number)
            for number in range(len(self.wiring.channels))
            for tail, head, weight in self._carry(number)
        )

    def _carry(self, number: int) -> Iterator[tuple[int, int, int]]:
        """The same times as engine._send and engine._take compute."""
        channel = self.wiring.channels[number]
        departs, free, taken = (self.of_channel(number, which) for which in range(3))
        phase, latency, parts = channel.phase, channel.latency_cycles, self.parts
        source, sink = begin(channel.producer, phase), begin(channel.consumer, phase)
        tail = parts.tail_occupancy[number]
        yield source, departs, parts.part_work[number]
        yield departs, free, channel.work_cycles
        yield given(channel.producer, phase), free, tail
        if channel.is_whole:
            yield free, sink, latency
        else:
            yield departs, sink, parts.window_occupancy[number] + latency
            yield source, sink, parts.window_work[number] + tail + latency
        yield free, done(channel.consumer, phase), latency + parts.tail_work[number]
        yield sink, taken, 0
        yield free, taken, latency

    @cached_property
    def room(self) -> tuple[Arc, ...]:
        return tuple(
            Arc(self.of_channel(n, 2), head, 0, c.depth, n)
            for n, c in enumerate(self.wiring.channels)
            for head in (self.of_channel(n, 0), given(c.producer, c.phase))
        )

    @cached_property
    def links(self) -> tuple[Arc, ...]:
        return tuple(
            Arc(self.of_channel(n, which), self.of_channel(n, 0), cycles, 1, n)
            for n, channel in enumerate(self.wiring.channels)
            for which, cycles in ((0, channel.occupancy_cycles), (1, 0))
        )

    @property
    def arcs(self) -> tuple[Arc, ...]:
        return self.order + self.carry + self.room + self.links

    @cached_property
    def waits(self) -> tuple[Arc, ...]:
        """Who waits for whom, without times: an item counts as given when all its outputs have
        room. A cycle without tokens in here is a deadlock."""
        items = (
            Arc(given(c.producer, c.phase), begin(c.consumer, c.phase), 0, 0, n)
            for n, c in enumerate(self.wiring.channels)
        )
        return (*self.order, *self.counted, *items, *self.places)

    @cached_property
    def counted(self) -> tuple[Arc, ...]:
        """Where phases run side by side, a tick's forward still counts as taken after its backward,
        which begins with it: as in stages whose ticks begin with the backward."""
        return tuple(
            Arc(given(index, BACKWARD), begin(index, FORWARD), 0, unit.delay + 1, OWN)
            for index, unit in enumerate(self.wiring.units)
            if unit.apart
        )

    @cached_property
    def places(self) -> tuple[Arc, ...]:
        """An item can be given when the one `depth` before it has been taken."""
        return tuple(
            Arc(begin(c.consumer, c.phase), given(c.producer, c.phase), 0, c.depth, n)
            for n, c in enumerate(self.wiring.channels)
        )

    def of_channel(self, number: int, which: int) -> int:
        """An event of a channel: 0 an item departs, 1 the links are free, 2 it has been taken."""
        return 6 * len(self.wiring.units) + 3 * number + which


def begin(unit: int, phase: int) -> int:
    """The event of a unit beginning a phase."""
    return 6 * unit + 3 * phase


def done(unit: int, phase: int) -> int:
    """The event of a unit having done the work of a phase."""
    return 6 * unit + 3 * phase + 1


def given(unit: int, phase: int) -> int:
    """The event of a unit having room for the outputs of a phase."""
    return 6 * unit + 3 * phase + 2
