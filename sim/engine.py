"""The compiled core of the event level: units take from channels, work, and give to channels.

Every unit has its own clock and runs ahead of the others as far as its channels allow (two nouns,
local time). A channel remembers when its last `depth` items arrived and were taken, which is all
that its two ends have to know of each other. The result does not depend on the order in which the
units are visited, because a time is computed only from times that are final.

A unit's tick k is: take F(k), give F(k), take B(k - delay), give B(k - delay), update. Taking waits
for all inputs and frees their places; giving waits for a place in every output.

The parts of a step are inlined: passing the tables from function to function would cost more than
the step itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .wiring import BACKWARD, FORWARD, Wiring

Ints = NDArray[np.int64]

FILL, STARVED, BLOCKED, NETWORK, HOST, DRAIN = range(6)
REASONS: tuple[str, ...] = ("fill", "starved", "blocked", "network", "host", "drain")
FIRST_FORWARD_END, FIRST_BACKWARD_START, FIRST_UPDATE_END, LAST_FORWARD_END = range(4)
STEADY_FROM, STEADY_TO = 4, 5
MARKS = 6
UPDATE = 2


class Tables(NamedTuple):
    """The wiring as arrays. Slot 2 u + phase of a unit lists its channels; `ring` is where a
    channel's memory of `depth` items begins. Between ticks `full_from` and `full_to` of a unit the
    whole pipeline is full; the interval is measured over the later half of them."""

    cycles: Ints
    delay: Ints
    trains: NDArray[np.bool_]
    is_host: NDArray[np.bool_]
    full_from: Ints
    steady_from: Ints
    full_to: Ints
    inputs: Ints
    inputs_from: Ints
    outputs: Ints
    outputs_from: Ints
    producer: Ints
    occupancy: Ints
    latency: Ints
    depth: Ints
    ring: Ints


class State(NamedTuple):
    """Where everybody is. Units: tick, part of it (0 to 3), own time, cycles spent. Channels: items
    given and taken so far, when links fall free, and per remembered item its three times."""

    tick: Ints
    part: Ints
    time: Ints
    busy: Ints
    idle: Ints
    marks: Ints
    given: Ints
    taken: Ints
    links_free: Ints
    given_at: Ints
    arrives_at: Ints
    taken_at: Ints
    slices: Ints


def tables(wiring: Wiring, samples: int) -> Tables:
    """Arrays for `run`; `samples` decides when the pipeline stops being full."""
    units, channels = wiring.units, wiring.channels
    count = len(units)
    position = np.minimum(np.arange(count), wiring.stages - 1)
    longest = max(unit.delay for unit in units)
    inputs = _lists([2 * c.consumer + c.phase for c in channels], 2 * count)
    outputs = _lists([2 * c.producer + c.phase for c in channels], 2 * count)
    full_from, full_to = np.maximum(longest - position, 0), samples - 1 - position
    depth = np.array([c.depth for c in channels], np.int64)
    return Tables(
        cycles=np.array([unit.cycles for unit in units], np.int64),
        delay=np.array([unit.delay for unit in units], np.int64),
        trains=np.array([unit.trains for unit in units]),
        is_host=np.arange(count) >= wiring.stages,
        full_from=full_from,
        steady_from=(full_from + full_to) // 2,
        full_to=full_to,
        inputs=inputs[0],
        inputs_from=inputs[1],
        outputs=outputs[0],
        outputs_from=outputs[1],
        producer=np.array([c.producer for c in channels], np.int64),
        occupancy=np.array([c.occupancy_cycles for c in channels], np.int64),
        latency=np.array([c.latency_cycles for c in channels], np.int64),
        depth=depth,
        ring=np.concatenate(([0], np.cumsum(depth)[:-1])).astype(np.int64),
    )


def start(table: Tables, window: tuple[int, int]) -> State:
    """Everybody at time 0. `window` = (first sample, samples) whose slices are recorded."""
    units, channels, items = len(table.delay), len(table.depth), int(table.depth.sum())

    def zeros(*shape: int) -> Ints:
        return np.zeros(shape, np.int64)

    return State(
        *(zeros(units), zeros(units), zeros(units)),
        *(zeros(units, 3), zeros(units, len(REASONS)), np.full((units, MARKS), -1, np.int64)),
        *(zeros(channels), zeros(channels), zeros(channels)),
        *(zeros(items), zeros(items), zeros(items)),
        np.full((units, window[1], 3, 2), -1, np.int64),
    )


def _lists(slots: list[int], count: int) -> tuple[Ints, Ints]:
    """Channel numbers grouped by slot, and where each slot's group begins (count + 1 entries)."""
    slot_of = np.array(slots, np.int64)
    order = np.argsort(slot_of, kind="stable")
    begins = np.concatenate(([0], np.cumsum(np.bincount(slot_of, minlength=count))))
    return order.astype(np.int64), begins.astype(np.int64)


@njit(cache=True)
def run(table: Tables, state: State, samples: int, first: int) -> bool:
    """Let every unit go as far as it can until all are done (True) or nobody can move (False)."""
    moved = True
    while moved:
        moved = False
        for unit in range(table.delay.size):
            while _step(table, state, samples, first, unit):
                moved = True
    return bool((state.tick == samples + table.delay).all())


@njit(cache=True, inline="always")
def _step(table: Tables, state: State, samples: int, first: int, unit: int) -> bool:
    tick, part = state.tick[unit], state.part[unit]
    if tick == samples + table.delay[unit]:
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


@njit(cache=True, inline="always")
def _take(table: Tables, state: State, first: int, unit: int, phase: int, sample: int) -> bool:
    """Wait for the inputs, free their places, work."""
    slot, begin, cause = 2 * unit + phase, int(state.time[unit]), -1
    for k in range(table.inputs_from[slot], table.inputs_from[slot + 1]):
        channel = table.inputs[k]
        if state.given[channel] <= sample:
            return False
        item = table.ring[channel] + sample % table.depth[channel]
        if state.arrives_at[item] > begin:
            begin, cause = int(state.arrives_at[item]), channel
    if cause >= 0:
        given_at = int(state.given_at[table.ring[cause] + sample % table.depth[cause]])
        _waited(table, state, unit, begin, cause, given_at)
    for k in range(table.inputs_from[slot], table.inputs_from[slot + 1]):
        channel = table.inputs[k]
        state.taken_at[table.ring[channel] + sample % table.depth[channel]] = begin
        state.taken[channel] += 1
    _mark_start(table, state, unit, phase, sample, begin)
    _work(table, state, first, unit, phase, sample)
    return True


@njit(cache=True, inline="always")
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
    for k in range(table.outputs_from[slot], table.outputs_from[slot + 1]):
        _send(table, state, table.outputs[k], sample, now)
    if phase == BACKWARD:
        _work(table, state, first, unit, UPDATE, sample)
    return True


@njit(cache=True, inline="always")
def _send(table: Tables, state: State, channel: int, sample: int, now: int) -> None:
    item = table.ring[channel] + sample % table.depth[channel]
    departs = max(now, state.links_free[channel])
    state.links_free[channel] = departs + table.occupancy[channel]
    state.given_at[item] = now
    state.arrives_at[item] = state.links_free[channel] + table.latency[channel]
    state.given[channel] += 1


@njit(cache=True, inline="always")
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


@njit(cache=True, inline="always")
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
        flight = min(gap, until - given_at)
        state.idle[unit, NETWORK] += flight
        state.idle[unit, STARVED] += gap - flight


@njit(cache=True, inline="always")
def _mark_start(
    table: Tables, state: State, unit: int, phase: int, sample: int, begin: int
) -> None:
    if phase == BACKWARD and sample == 0:
        state.marks[unit, FIRST_BACKWARD_START] = begin
    if phase == FORWARD and sample == table.steady_from[unit]:
        state.marks[unit, STEADY_FROM] = begin
    if phase == FORWARD and sample == table.full_to[unit]:
        state.marks[unit, STEADY_TO] = begin
