"""Whether all stages can keep a pace, derived again: a schedule that repeats every T cycles.

If sample k of every stage begins k T after sample 0, then room in FIFOs, parts of samples that are
under way, and the order in which a stage does its phases are inequalities between the times of
sample 0: `head` comes at least `cycles` - `samples` T after `tail`. They have a solution unless
they add up around a loop to more than nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from math import ceil
from typing import NamedTuple

from ..document import HOST, EdgeRecord, PlanDocument
from .regions.shared import groups_of

FORWARD, BACKWARD = "forward", "backward"
_PASSES = 3
"""Over all waits between two looks for a loop, which costs about as much as one."""


Event = tuple[object, ...]
"""('begins' or 'ends', unit, phase) or ('departs', 'left' or 'taken', stream)."""


class Wait(NamedTuple):
    """`head` waits for `tail` of `samples` samples before, and `cycles` more."""

    tail: Event
    head: Event
    cycles: int
    samples: int


class CheckedStream(NamedTuple):
    """One direction of an edge between units: cycles of its links per sample, and of flight."""

    edge: EdgeRecord
    phase: str
    source: object
    sink: object
    work: int
    flight: int

    def event(self, name: str) -> Event:
        return name, self.phase, self.source, self.sink

    def share(self, cycles: int, parts: int = 1) -> int:
        """Cycles of some parts of a sample, of those for the whole."""
        return ceil(cycles * parts / self.edge.parts)


def waits(plan: PlanDocument, streams: list[CheckedStream], host_cycles: int) -> tuple[Wait, ...]:
    """All inequalities, in an order in which one pass finds most of the times."""
    cycles: dict[tuple[object, str], int] = {}
    for position, stage in enumerate(plan.stages):
        cycles[position, FORWARD] = stage.cycles.forward_cycles
        cycles[position, BACKWARD] = stage.cycles.backward_cycles
    cycles |= {(s.source, FORWARD): host_cycles for s in streams if s.edge.source == HOST}
    found = [wait for phase in (FORWARD, BACKWARD) for wait in _phase(plan, streams, cycles, phase)]
    for position, stage in enumerate(plan.stages):
        ends = ("ends", position, FORWARD), ("ends", position, BACKWARD)
        delay, update = 2 * (len(plan.stages) - 1 - position), stage.cycles.update_cycles
        backward, forward = ("begins", position, BACKWARD), ("begins", position, FORWARD)
        if len(stage.uses) > 1:
            found += _side_by_side(position, delay, update)
        elif stage.backward_first:
            found.append(Wait(ends[1], forward, 0, delay))
            found.append(Wait(ends[0], backward, update, 1 - delay))
        else:
            found.append(Wait(ends[0], backward, 0, -delay))
            found.append(Wait(ends[1], forward, update, delay + 1))
    return (*found, *(wait for group in groups_of(plan) for wait in _rounds(plan, group)))


def _side_by_side(position: int, delay: int, update: int) -> Iterator[Wait]:
    """Forward and backward of a tick both begin when those of the tick before are done."""
    forward, backward = (("begins", position, phase) for phase in (FORWARD, BACKWARD))
    ends = ("ends", position, FORWARD), ("ends", position, BACKWARD)
    yield Wait(ends[0], forward, 0, 1)
    yield Wait(ends[1], backward, update, 1)
    yield Wait(ends[0], backward, 0, 1 - delay)
    yield Wait(ends[1], forward, update, delay + 1)


def _rounds(plan: PlanDocument, group: Sequence[int]) -> Iterator[Wait]:
    """In a tick the stages of a region do their forwards from the last to the first, then their
    backwards and updates from the first to the last, each when all before are done."""
    if len(group) < 2:
        return
    last = len(plan.stages) - 1
    phases = [(stage, FORWARD) for stage in reversed(group)]
    phases += [(stage, BACKWARD) for stage in group]
    tick = {FORWARD: lambda stage: stage, BACKWARD: lambda stage: 2 * last - stage}
    for (one, phase), (other, next_) in zip(phases, [*phases[1:], phases[0]], strict=True):
        update = plan.stages[one].cycles.update_cycles if phase == BACKWARD else 0
        samples = tick[phase](one) - tick[next_](other) + ((other, next_) == phases[0])
        yield Wait(("ends", one, phase), ("begins", other, next_), update, samples)


def _phase(
    plan: PlanDocument,
    streams: list[CheckedStream],
    cycles: Mapping[tuple[object, str], int],
    phase: str,
) -> Iterator[Wait]:
    """Units in the order in which a sample passes them: the host's, then stages."""
    leaving: dict[object, list[CheckedStream]] = {}
    for stream in streams:
        if stream.phase == phase:
            leaving.setdefault(stream.source, []).append(stream)
    stages = range(len(plan.stages)) if phase == FORWARD else reversed(range(len(plan.stages)))
    for unit in (*filter(_is_host, leaving), *stages):
        begins, ends = ("begins", unit, phase), ("ends", unit, phase)
        yield Wait(begins, ends, cycles[unit, phase], 0)
        if _is_host(unit):
            yield Wait(ends, begins, 0, 1)
        for stream in leaving.get(unit, ()):
            yield from _crossing(stream, cycles[unit, phase], cycles[stream.sink, phase])


def _crossing(stream: CheckedStream, made: int, read: int) -> Iterator[Wait]:
    """A sample from source to sink, which take `made` and `read` cycles for it."""
    phase, edge = stream.phase, stream.edge
    begins, ends = ("begins", stream.source, phase), ("ends", stream.source, phase)
    departs, left, taken = (stream.event(name) for name in ("departs", "left", "taken"))
    arrives, last = ("begins", stream.sink, phase), stream.share(stream.work)
    window = edge.window if phase == FORWARD else edge.gradient_window
    yield Wait(begins, departs, stream.share(made), 0)
    yield Wait(departs, left, stream.work, 0)
    yield Wait(ends, left, last, 0)
    if window >= edge.parts:
        yield Wait(left, arrives, stream.flight, 0)
    else:
        yield Wait(departs, arrives, stream.share(stream.work, window) + stream.flight, 0)
        yield Wait(begins, arrives, stream.share(made, window) + last + stream.flight, 0)
    yield Wait(left, ("ends", stream.sink, phase), stream.flight + stream.share(read), 0)
    yield Wait(arrives, taken, 0, 0)
    yield Wait(left, taken, stream.flight, 0)
    yield Wait(left, departs, 0, 1)
    yield Wait(taken, departs, 0, edge.depth)
    yield Wait(taken, ends, 0, edge.depth)


def keeps_pace(waits: Sequence[Wait], interval: float) -> bool:
    """Whether a schedule that repeats every `interval` cycles exists.

    Times only grow; any first guess leads to a schedule if there is one. That of ticks is near it,
    and a pass in the order of a tick brings all that waits within one to its time.
    """
    ticks = _ticks(dict.fromkeys(event for wait in waits for event in (wait.tail, wait.head)))
    number = {event: at for at, event in enumerate(_in_turn(ticks, waits))}
    arcs = sorted((number[w.tail], number[w.head], w.cycles - w.samples * interval) for w in waits)
    times, cause = [ticks[event] * interval for event in number], [-1] * len(number)
    slack, passes, changed = 1e-9 * (1 + interval), 0, True
    while changed:
        changed, passes = False, passes + 1
        for tail, head, cycles in arcs:
            at = times[tail] + cycles
            if at > times[head] + slack:
                times[head], cause[head], changed = at, tail, True
        if changed and passes % _PASSES == 0 and _has_loop(cause):
            return False
    return True


def _in_turn(ticks: Mapping[Event, int], waits: Iterable[Wait]) -> Iterable[Event]:
    """Events, each after all that it waits for in its own tick; in any order if they go around."""
    before: dict[Event, list[Event]] = {event: [] for event in ticks}
    for tail, head, _, samples in waits:
        if ticks[head] == ticks[tail] - samples and head != tail:
            before[head].append(tail)
    try:
        return tuple(TopologicalSorter(before).static_order())
    except CycleError:
        return ticks


def _ticks(events: Collection[Event]) -> dict[Event, int]:
    """The tick of each event of sample 0."""
    last = max((unit for event in events for unit in event[1:] if isinstance(unit, int)), default=0)
    return {event: _tick(event, last) for event in events}


def _tick(event: Event, last: int) -> int:
    """When a sample comes to a unit, or leaves it by a stream; the host sends it at once."""
    is_stream = event[1] in (FORWARD, BACKWARD)
    phase, unit = (event[1], event[2]) if is_stream else (event[2], event[1])
    if not isinstance(unit, int):
        return 0
    return unit if phase == FORWARD else 2 * last - unit


def first_loss(plan: PlanDocument, waits: Sequence[Wait], start: int) -> int:
    """When the loss of a sample is known that is alone and that the host begins to send at
    `start`: the longest path of the waits in its forwards."""
    alone = [w for w in waits if w.samples == 0 and FORWARD in w.tail and FORWARD in w.head]
    times = {event: 0 for wait in alone for event in (wait.tail, wait.head)}
    times |= {event: start for event in times if event[0] == "begins" and _is_host(event[1])}
    changed = True
    while changed:
        changed = False
        for tail, head, cycles, _ in alone:
            if times[tail] + cycles > times[head]:
                times[head], changed = times[tail] + cycles, True
    return times["ends", len(plan.stages) - 1, FORWARD]


def _is_host(unit: object) -> bool:
    """Each stream of the host is a unit ('host', number)."""
    return isinstance(unit, tuple)


def _has_loop(cause: Sequence[int]) -> bool:
    """Whether the last reason for each event leads back to the event: times grow for ever."""
    seen = [-1] * len(cause)
    for start in range(len(cause)):
        event = start
        while cause[event] >= 0 and seen[event] < 0:
            seen[event] = start
            event = cause[event]
        if cause[event] >= 0 and seen[event] == start:
            return True
    return False
