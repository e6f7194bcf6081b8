"""The compiled core of the event level: units take from channels, work, and give to channels.

Every unit has its own clock and runs ahead of the others as far as its channels allow (two nouns,
local time). A channel remembers when its last `depth` items arrived and were taken, which is all
that its two ends have to know of each other. The result does not depend on the order in which the
units are visited, because a time is computed only from times that are final.

A unit's tick k is: take F(k), give F(k), take B(k - delay), give B(k - delay), update. Taking waits
for all inputs and frees their places; giving waits for a place in every output.

A unit that is told to stop at a tick stops, and the others go on as far as that lets them. Where
everybody then is follows from counting alone, never from times, so that two such states can be
compared (see steady.py).

The parts of a step are inlined: passing the tables from function to function would cost more than
the step itself.
"""

from __future__ import annotations

from numba import njit

from .state import (
    BLOCKED,
    DRAIN,
    FILL,
    FIRST_BACKWARD_START,
    FIRST_FORWARD_END,
    FIRST_UPDATE_END,
    HOST,
    LAST_FORWARD_END,
    NETWORK,
    STARVED,
    STEADY_FROM,
    STEADY_TO,
    Ints,
    State,
    Tables,
)
from .wiring import BACKWARD, FORWARD

UPDATE = 2

compiled = njit(cache=True, _nrt=False)  # pyright: ignore[reportCallIssue]
"""Nothing compiled here makes an array. Without counting references to arrays, which numba does at
every use of one in a tuple, it is ten times as fast.

All compiled functions that call each other are in this file: the cache does not notice when a
function called from another file has changed.
"""

inlined = njit(inline="always")


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
        image[at] = state.time[unit]
        at += 1
    for channel in range(table.depth.size):
        ring, depth = table.ring[channel], table.depth[channel]
        image[at] = state.links_free[channel]
        at += 1
        for item in range(depth):
            given = ring + (state.given[channel] + item) % depth
            image[at], image[at + 1] = state.given_at[given], state.arrives_at[given]
            image[at + 2] = state.taken_at[ring + (state.taken[channel] + item) % depth]
            at += 3


@compiled
def put(table: Tables, state: State, times: Ints, ticks: int) -> None:
    """The inverse of `look`: go `ticks` ticks on, and to `times`, an image without its counts."""
    at = 0
    for unit in range(table.delay.size):
        state.tick[unit] += ticks
        state.time[unit] = times[at]
        at += 1
    for channel in range(table.depth.size):
        ring, depth = table.ring[channel], table.depth[channel]
        state.given[channel] += ticks
        state.taken[channel] += ticks
        state.links_free[channel] = times[at]
        at += 1
        for item in range(depth):
            given = ring + (state.given[channel] + item) % depth
            state.given_at[given], state.arrives_at[given] = times[at], times[at + 1]
            state.taken_at[ring + (state.taken[channel] + item) % depth] = times[at + 2]
            at += 3


@inlined
def _step(table: Tables, state: State, samples: int, first: int, stop: Ints, unit: int) -> bool:
    tick, part = state.tick[unit], state.part[unit]
    if tick == stop[unit]:
        return False
    phase = part // 2
    sample = tick - phase * table.delay[unit]
    exists = 0 <= sample < samples and (phase == FORWARD or table.trains[unit])
    if exists:
        if part % 2 == 0 and not _take(table, state, first, unit, phase, sample):
            return False
        if part % 2 == 1 and not _give(table, state, first, unit, phase, sample):
            return False
    state.part[unit] = (part + 1) % 4
    state.tick[unit] += part == 3
    return True


@inlined
def _take(table: Tables, state: State, first: int, unit: int, phase: int, sample: int) -> bool:
    """Wait for the inputs, free their places, work."""
    slot, begin, cause = 2 * unit + phase, int(state.time[unit]), -1
    for k in range(table.inputs_from[slot], table.inputs_from[slot + 1]):
        channel = table.inputs[k]
        if state.given[channel] <= sample:
            return False
        item = table.ring[channel] + sample % table.depth[channel]
        state.total[0] += max(state.time[unit], state.given_at[item])
        if state.arrives_at[item] > begin:
            begin, cause = int(state.arrives_at[item]), channel
    if cause >= 0:
        given_at = int(state.given_at[table.ring[cause] + sample % table.depth[cause]])
        _waited(table, state, unit, begin, cause, given_at)
    for k in range(table.inputs_from[slot], table.inputs_from[slot + 1]):
        channel = table.inputs[k]
        state.taken_at[table.ring[channel] + sample % table.depth[channel]] = begin
        state.taken[channel] += 1
        _record(state, first, channel, sample, 1, begin)
    state.total[0] += begin
    _mark_start(table, state, unit, phase, sample, begin)
    _work(table, state, first, unit, phase, sample)
    return True


@inlined
def _give(table: Tables, state: State, first: int, unit: int, phase: int, sample: int) -> bool:
    """Wait for room in the outputs, send, and after a backward update."""
    slot, now, cause = 2 * unit + phase, int(state.time[unit]), -1
    for k in range(table.outputs_from[slot], table.outputs_from[slot + 1]):
        channel = table.outputs[k]
        depth = table.depth[channel]
        if sample >= depth:
            if state.taken[channel] <= sample - depth:
                return False
            item = table.ring[channel] + sample % depth
            if state.taken_at[item] > now:
                now, cause = int(state.taken_at[item]), channel
    if cause >= 0:
        _waited(table, state, unit, now, -1, now)
    state.total[0] += now
    for k in range(table.outputs_from[slot], table.outputs_from[slot + 1]):
        _send(table, state, table.outputs[k], sample, now)
        _record(state, first, table.outputs[k], sample, 0, now)
    if phase == BACKWARD:
        _work(table, state, first, unit, UPDATE, sample)
    return True


@inlined
def _send(table: Tables, state: State, channel: int, sample: int, now: int) -> None:
    item = table.ring[channel] + sample % table.depth[channel]
    departs = max(now, state.links_free[channel])
    state.links_free[channel] = departs + table.occupancy[channel]
    state.total[0] += departs
    state.given_at[item] = now
    state.arrives_at[item] = state.links_free[channel] + table.latency[channel]
    state.given[channel] += 1


@inlined
def _record(state: State, first: int, channel: int, sample: int, which: int, now: int) -> None:
    place = sample - first + state.moves.shape[1] - state.slices.shape[1]
    if 0 <= place < state.moves.shape[1]:
        state.moves[channel, place, which] = now


@inlined
def _work(table: Tables, state: State, first: int, unit: int, phase: int, sample: int) -> None:
    begin = state.time[unit]
    end = begin + table.cycles[unit, phase]
    state.time[unit] = end
    state.busy[unit, phase] += end - begin
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
def _waited(table: Tables, state: State, unit: int, until: int, cause: int, given_at: int) -> None:
    """Book idle cycles. Waiting for channel `cause`, the part before its item was given is the
    producer's (starved), the rest the network's; `cause` -1 is waiting for room."""
    gap = until - state.time[unit]
    tick = state.tick[unit]
    state.time[unit] = until
    if tick <= table.full_from[unit]:
        state.idle[unit, FILL] += gap
    elif tick > table.full_to[unit]:
        state.idle[unit, DRAIN] += gap
    elif cause < 0:
        state.idle[unit, BLOCKED] += gap
    elif table.is_host[table.producer[cause]]:
        state.idle[unit, HOST] += gap
    else:
        flight = until - max(until - gap, given_at)
        state.idle[unit, NETWORK] += flight
        state.idle[unit, STARVED] += gap - flight


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
