"""The compiled core of the event level: units take from channels, work, and give to channels.

Every unit has its own clock and runs ahead of the others as far as its channels allow (two nouns,
local time). A channel remembers when its last `depth` items arrived and were taken, which is all
that its two ends have to know of each other. The result does not depend on the order in which the
units are visited, because a time is computed only from times that are final.

A unit's tick k is: take F(k), give F(k), take B(k - delay), give B(k - delay), update. Taking waits
for the first window of all inputs, works, and is not done before the last parts have come and been
worked on; that frees their places. Giving waits for a place in every output. The parts of an item
leave evenly while its producer works, so units overlap in time although they are visited one after
the other. A unit whose update waits does that of a sample just before its next backward. A unit
that is apart does the forward of a tick beside its backward and update: both begin with the tick,
and the next one when both are done. Here its tick k is the forward of that tick and the backward of
the next one.

Stages of one region take turns (compiler/timing/shared_regions.py): before each phase a unit waits
until the others have done those that come before it. They cannot go on before this one is done, so
their times are those of the ends of these phases.

A unit that is told to stop at a tick stops, and the others go on as far as that lets them. Where
everybody then is follows from counting alone, never from times, so that two such states can be
compared (see steady.py).
"""

from __future__ import annotations

from typing import Any

from numba import njit

from ...backend.numba_cache import loaded_first
from ...compiler.timing.wiring import BACKWARD, FORWARD
from ..model.state import (
    BEGAN,
    BLOCKED,
    DRAIN,
    FILL,
    FIRST_BACKWARD_START,
    FIRST_FORWARD_END,
    FIRST_UPDATE_END,
    GIVEN,
    HOST,
    IMBALANCE,
    LAST,
    LAST_FORWARD_END,
    LEFT,
    LINK,
    LOOP,
    READY,
    STARVED,
    STEADY_FROM,
    STEADY_TO,
    TAKEN,
    TURN,
    TURN_OF_BACKWARD,
    TURN_OF_FORWARD,
    WANTED,
    WINDOW,
    Ints,
    State,
    Tables,
)

UPDATE = 2

_plain = njit(cache=True, _nrt=False, error_model="numpy")  # pyright: ignore[reportCallIssue]
"""Nothing compiled here makes an array. Without counting references to arrays, which numba does at
every use of one in a tuple, it is ten times as fast. All compiled functions that call each other
are in this file: the cache does not notice when a function called from another file has changed."""

inlined = njit(inline="always")
"""Passing the tables from function to function would cost more than a step itself. numba inlines
these before it finds types, in a time that grows with the square of what they come to: larger ones
are left to LLVM."""

inlined_by_llvm = njit(  # pyright: ignore[reportCallIssue]
    cache=True,
    _nrt=False,
    error_model="numpy",
    forceinline=True,
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
)


def compiled(function: Any) -> Any:
    """A function that Python calls."""
    return loaded_first(_plain(function))


@compiled
def run(table: Tables, state: State, samples: int, first: int, stop: Ints) -> bool:
    """Let every unit go as far as it can, at most to its tick in `stop`, which is samples + delay
    for a whole run. Whether all are there; if not, nobody can move."""
    moved = True
    while moved:
        moved = False
        for unit in range(table.delay.size):
            while _step(table, state, samples, first, stop, unit):
                moved = True
    there = 0
    for unit in range(table.delay.size):
        there += state.tick[unit] == stop[unit]
    return there == table.delay.size


@compiled
def find(
    table: Tables,
    state: State,
    samples: int,
    first: int,
    stop: Ints,
    images: tuple[Ints, Ints, Ints],
) -> int:
    """Run on until a tick of unit 0 adds to the image what an earlier one has added, and return how
    many ticks ago that was; 0 when a unit comes to the end of the full pipeline or unit 0 is stuck.

    Ticks are compared by Brent's algorithm (BIT 20, 1980): with one that is remembered, another one
    after 1, 2, 4, ... ticks. `images` is room for three images; `stop` is as for `run`.
    """
    now, before, added = images
    age, lifetime = -1, 0
    while _below(state.tick, table.full_to):
        tick = state.tick[0]
        stop[0] = tick + 1
        run(table, state, samples, first, stop)
        if state.tick[0] == tick:
            return 0
        if not _below(table.regular_from, state.tick):
            continue
        now, before = before, now
        look(table, state, now)
        age += 1
        if 0 < age <= lifetime and _adds(now, before, added):
            return age
        if age == lifetime:
            for entry in range(now.size):
                added[entry] = now[entry] - before[entry]
            age, lifetime = 0, max(2 * lifetime, 1)
    return 0


@compiled
def _below(low: Ints, high: Ints) -> bool:
    unit = 0
    while unit < low.size and low[unit] < high[unit]:
        unit += 1
    return unit == low.size


@compiled
def _adds(now: Ints, before: Ints, added: Ints) -> bool:
    entry = 0
    while entry < now.size and now[entry] - before[entry] == added[entry]:
        entry += 1
    return entry == now.size


@compiled
def look(table: Tables, state: State, image: Ints) -> None:
    """Fill an image: all that decides what happens next. Counts, relative to unit 0's tick; then
    times, of each channel those of its last `depth` items, earliest first."""
    at, tick = 0, state.tick[0]
    for unit in range(table.delay.size):
        image[at], image[at + 1] = state.tick[unit] - tick, state.part[unit]
        at += 2
    for channel in range(table.depth.size):
        image[at], image[at + 1] = state.given[channel] - tick, state.taken[channel] - tick
        at += 2
    for unit in range(table.delay.size):
        image[at], image[at + 1] = state.time[unit], state.ready[unit]
        image[at + 2], image[at + 3] = state.began[unit], state.other[unit]
        at += 4
    for channel in range(table.depth.size):
        ring, depth = table.ring[channel], table.depth[channel]
        image[at] = state.links_free[channel]
        at += 1
        for item in range(depth):
            given = ring + (state.given[channel] + item) % depth
            taken = ring + (state.taken[channel] + item) % depth
            for which in range(6):
                image[at + which] = state.sent[given, which]
            image[at + 6], image[at + 7] = state.got[taken, TAKEN], state.got[taken, WANTED]
            at += 8


@compiled
def put(table: Tables, state: State, times: Ints, ticks: int) -> None:
    """The inverse of `look`: go `ticks` ticks on, and to `times`, an image without its counts."""
    at = 0
    for unit in range(table.delay.size):
        state.tick[unit] += ticks
        state.time[unit], state.ready[unit] = times[at], times[at + 1]
        state.began[unit], state.other[unit] = times[at + 2], times[at + 3]
        at += 4
    for channel in range(table.depth.size):
        ring, depth = table.ring[channel], table.depth[channel]
        state.given[channel] += ticks
        state.taken[channel] += ticks
        state.links_free[channel] = times[at]
        at += 1
        for item in range(depth):
            given = ring + (state.given[channel] + item) % depth
            taken = ring + (state.taken[channel] + item) % depth
            for which in range(6):
                state.sent[given, which] = times[at + which]
            state.got[taken, TAKEN], state.got[taken, WANTED] = times[at + 6], times[at + 7]
            at += 8


@inlined_by_llvm
def _step(table: Tables, state: State, samples: int, first: int, stop: Ints, unit: int) -> bool:
    tick, part = state.tick[unit], state.part[unit]
    if tick == stop[unit]:
        return False
    if part >= TURN_OF_FORWARD:
        return _turn(table, state, samples, unit)
    phase = part // 2
    sample = tick - phase * table.delay[unit]
    exists = 0 <= sample < samples and (phase == FORWARD or table.trains[unit])
    if exists:
        if part % 2 == 0 and not _take(table, state, first, unit, phase, sample):
            return False
        if part % 2 == 1 and not _give(table, state, samples, first, unit, phase, sample):
            return False
    if part % 2 == 1 and table.apart[unit]:
        _cross(table, state, unit, part == 1)
    state.tick[unit] += part == 3
    state.part[unit] = (part + 1) % 4
    if part % 2 == 1 and table.beside[unit] != unit:
        state.part[unit] = TURN_OF_FORWARD if part == 3 else TURN_OF_BACKWARD
    return True


@inlined_by_llvm
def _cross(table: Tables, state: State, unit: int, to_backward: bool) -> None:
    """From a forward to the backward of the next tick, which begins when the backward beside the
    forward is done, too; or from that to the forward that begins with it."""
    time, other = int(state.time[unit]), int(state.other[unit])
    if not to_backward:
        state.time[unit], state.other[unit] = other, time
        return
    now, gap = max(time, other), abs(time - other)
    if not _outside(table, state, unit, gap):
        state.idle[unit, TURN] += gap
    state.time[unit] = state.other[unit] = now
    state.total[0] += now


@inlined_by_llvm
def _turn(table: Tables, state: State, samples: int, unit: int) -> bool:
    """Wait until the other stages of the region have done all phases that come before the next one:
    those of rounds before, forwards of later stages, and of a backward those of earlier stages."""
    tick, since = state.tick[unit], int(state.time[unit])
    is_backward = state.part[unit] == TURN_OF_BACKWARD
    round_ = tick + min(table.lag[unit] + tick, table.ahead[unit])
    now, other = since, int(table.beside[unit])
    while other != unit:
        forwards = _last(table, samples, other, round_ - (other < unit and not is_backward))
        backwards = _last(table, samples, other, round_ - (other > unit or not is_backward))
        done = state.tick[other]
        if done <= backwards or done + _is_between(int(state.part[other])) <= forwards:
            return False
        now, other = max(now, int(state.time[other])), int(table.beside[other])
    if not _outside(table, state, unit, now - since):
        state.idle[unit, TURN] += now - since
    state.time[unit] = now
    state.total[0] += now
    state.part[unit] = 2 if is_backward else 0
    return True


@inlined
def _last(table: Tables, samples: int, unit: int, round_: int) -> int:
    """A unit's last tick up to a round of its region."""
    last = max((round_ - table.lag[unit]) // 2, round_ - table.ahead[unit])
    return min(last, samples + table.delay[unit] - 1)


@inlined
def _is_between(part: int) -> bool:
    """Whether a unit has done the forward of its tick."""
    return part == TURN_OF_BACKWARD or part == 2 or part == 3


@inlined_by_llvm
def _take(table: Tables, state: State, first: int, unit: int, phase: int, sample: int) -> bool:
    """Wait for the first windows, work, wait for the last parts, free the places."""
    slot, ready, cause = 2 * unit + phase, int(state.time[unit]), -1
    updates = phase == BACKWARD and sample > 0 and table.update_waits[unit]
    if updates:
        ready += int(table.cycles[unit, UPDATE])
    begin, complete, slowest = ready, 0, -1
    for k in range(table.inputs_from[slot], table.inputs_from[slot + 1]):
        channel = table.inputs[k]
        if state.given[channel] <= sample:
            return False
        item = _item(table, channel, sample)
        arrives = state.sent[item, WINDOW]
        if arrives > begin:
            begin, cause = int(arrives), channel
        done = state.sent[item, LAST] + table.parts.tail_work[channel]
        if done > complete:
            complete, slowest = int(done), channel
    if cause >= 0:
        item = _item(table, cause, sample)
        _waited_for(table, state, unit, cause, item, ready, begin, int(state.sent[item, LEFT]))
    if updates:
        updated = int(state.time[unit])
        _work(table, state, first, unit, UPDATE, sample - 1, updated, ready)
    state.ready[unit], state.began[unit] = ready, begin
    state.total[0] += begin
    _mark_start(table, state, unit, phase, sample, begin)
    worked = begin + int(table.cycles[unit, phase])
    end = worked
    if complete > worked:
        end, tail = complete, table.parts.tail_work[slowest]
        item = _item(table, slowest, sample)
        given = int(state.sent[item, GIVEN])
        _waited_for(table, state, unit, slowest, item, worked - tail, end - tail, given)
    for k in range(table.inputs_from[slot], table.inputs_from[slot + 1]):
        channel = table.inputs[k]
        item = _item(table, channel, sample)
        taken = max(begin, state.sent[item, LAST])
        state.got[item, TAKEN], state.got[item, WANTED] = taken, ready
        state.taken[channel] += 1
        state.total[0] += taken + _turns(table, state, channel, item, ready, worked)
        _record(state, first, channel, sample, 1, taken)
    state.total[0] += end
    _work(table, state, first, unit, phase, sample, begin, end)
    return True


@inlined
def _item(table: Tables, channel: int, sample: int) -> int:
    return table.ring[channel] + sample % table.depth[channel]


@inlined
def _turns(table: Tables, state: State, channel: int, item: int, ready: int, worked: int) -> int:
    """The maxima by which waits for an item are split up, for `total`."""
    late, left = worked - table.parts.tail_work[channel], state.sent[item, LEFT]
    began, was_ready = state.sent[item, BEGAN], state.sent[item, READY]
    turns = max(ready, left) + max(ready, began) + max(ready, was_ready)
    given = state.sent[item, GIVEN]
    return turns + max(late, given) + max(late, began) + max(late, was_ready)


@inlined_by_llvm
def _give(
    table: Tables, state: State, samples: int, first: int, unit: int, phase: int, sample: int
) -> bool:
    """Wait for room in the outputs, send, and after a backward update."""
    slot, worked, cause = 2 * unit + phase, int(state.time[unit]), -1
    now = worked
    for k in range(table.outputs_from[slot], table.outputs_from[slot + 1]):
        channel = table.outputs[k]
        if state.taken[channel] <= sample - table.depth[channel]:
            return False
        item = _item(table, channel, sample)
        state.total[0] += max(worked, state.got[item, WANTED])
        if state.got[item, TAKEN] > now:
            now, cause = int(state.got[item, TAKEN]), channel
    if cause >= 0:
        wanted = int(state.got[_item(table, cause, sample), WANTED])
        _waited_for_room(table, state, unit, worked, now, wanted)
    state.time[unit] = now
    state.total[0] += now
    for k in range(table.outputs_from[slot], table.outputs_from[slot + 1]):
        _send(table, state, first, table.outputs[k], sample, unit)
        _record(state, first, table.outputs[k], sample, 0, now)
    if phase == BACKWARD and (sample == samples - 1 or not table.update_waits[unit]):
        end = now + int(table.cycles[unit, UPDATE])
        _work(table, state, first, unit, UPDATE, sample, now, end)
    return True


@inlined
def _send(table: Tables, state: State, first: int, channel: int, sample: int, unit: int) -> None:
    """The first part leaves as soon as it is worked on, there is room and the links are free; the
    last one not before the producer is done. The item takes its time on the links in any case, and
    the next one leaves no earlier than the stream's share allows."""
    item, began, now = _item(table, channel, sample), state.began[unit], state.time[unit]
    room, tail = state.got[item, TAKEN], table.parts.tail_occupancy[channel]
    departs = max(began + table.parts.part_work[channel], max(room, state.links_free[channel]))
    last = max(departs + table.work[channel], now + tail)
    free = max(departs + table.occupancy[channel], last)
    ready = began + table.parts.window_work[channel]
    window = max(departs + table.parts.window_occupancy[channel], ready + tail)
    left = max(ready, room)
    if table.is_whole[channel]:
        left, window = now, last
    state.links_free[channel] = free
    _record(state, first, channel, sample, 2, departs)
    _record(state, first, channel, sample, 3, last)
    state.sent[item, LEFT], state.sent[item, GIVEN] = left, now
    state.sent[item, READY], state.sent[item, BEGAN] = state.ready[unit], began
    state.sent[item, WINDOW] = window + table.latency[channel]
    state.sent[item, LAST] = last + table.latency[channel]
    state.total[0] += departs + last + free + window + left
    state.given[channel] += 1


@inlined
def _record(state: State, first: int, channel: int, sample: int, which: int, now: int) -> None:
    place = sample - first + state.moves.shape[1] - state.slices.shape[1]
    if 0 <= place < state.moves.shape[1]:
        state.moves[channel, place, which] = now


@inlined
def _work(
    table: Tables,
    state: State,
    first: int,
    unit: int,
    phase: int,
    sample: int,
    begin: int,
    end: int,
) -> None:
    state.time[unit] = end
    state.busy[unit, phase] += table.cycles[unit, phase]
    if 0 <= sample - first < state.slices.shape[1]:
        state.slices[unit, sample - first, phase, 0] = begin
        state.slices[unit, sample - first, phase, 1] = end
    if phase == FORWARD:
        state.marks[unit, LAST_FORWARD_END] = end
        if sample == 0:
            state.marks[unit, FIRST_FORWARD_END] = end
    if phase == UPDATE and sample == 0:
        state.marks[unit, FIRST_UPDATE_END] = end


@inlined
def _waited_for(
    table: Tables,
    state: State,
    unit: int,
    channel: int,
    item: int,
    since: int,
    until: int,
    left: int,
) -> None:
    """Book idle cycles. After the item left its producer they are the links'; before that the
    producer was at work (imbalance), or was itself waiting before it began (starved)."""
    if _outside(table, state, unit, until - since):
        return
    if table.is_host[table.producer[channel]]:
        state.idle[unit, HOST] += until - since
        return
    on_the_way = until - max(since, left)
    began, ready = state.sent[item, BEGAN], state.sent[item, READY]
    starved = max(since, began) - max(since, ready)
    state.idle[unit, LINK] += on_the_way
    state.idle[unit, STARVED] += starved
    state.idle[unit, IMBALANCE] += until - since - on_the_way - starved


@inlined
def _waited_for_room(
    table: Tables, state: State, unit: int, since: int, until: int, wanted: int
) -> None:
    """Book idle cycles. While the consumer was at work it held this unit back (blocked); while it
    was itself waiting for an input, a deeper FIFO would have let both go on (loop)."""
    if _outside(table, state, unit, until - since):
        return
    both = until - max(since, wanted)
    state.idle[unit, LOOP] += both
    state.idle[unit, BLOCKED] += until - since - both


@inlined
def _outside(table: Tables, state: State, unit: int, gap: int) -> bool:
    """Book a gap before the pipeline is full or after."""
    tick = state.tick[unit]
    if tick <= table.full_from[unit]:
        state.idle[unit, FILL] += gap
    elif tick > table.full_to[unit]:
        state.idle[unit, DRAIN] += gap
    return tick <= table.full_from[unit] or tick > table.full_to[unit]


@inlined
def _mark_start(
    table: Tables, state: State, unit: int, phase: int, sample: int, begin: int
) -> None:
    if phase == BACKWARD and sample == 0:
        state.marks[unit, FIRST_BACKWARD_START] = begin
    if phase == FORWARD and sample == table.steady_from[unit]:
        state.marks[unit, STEADY_FROM] = begin
    if phase == FORWARD and sample == table.full_to[unit]:
        state.marks[unit, STEADY_TO] = begin
