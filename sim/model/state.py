"""The tables of the event level: what the compiled core reads, and what it keeps up to date."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compiler.timing.part_cycles import Ints, PartCycles, part_cycles
from ...compiler.timing.wiring import Unit, Wiring

REASONS: tuple[str, ...] = (
    "fill",
    "starved",
    "imbalance",
    "link",
    "host",
    "blocked",
    "loop",
    "drain",
    "turn",
)
FILL, STARVED, IMBALANCE, LINK, HOST, BLOCKED, LOOP, DRAIN, TURN = range(len(REASONS))
TURN_OF_FORWARD, TURN_OF_BACKWARD = 4, 5
"""Parts of a tick in which units that share a region wait for their turn."""
LEFT, GIVEN, READY, BEGAN, WINDOW, LAST = range(6)
"""Times of an item from its producer: its first window has left, it is complete; the producer had
time for it, the producer began; the first window has arrived, all of it has."""
TAKEN, WANTED = range(2)
"""Times of an item from its consumer: it has been taken, the consumer had time for it."""
FIRST_FORWARD_END, FIRST_BACKWARD_START, FIRST_UPDATE_END, LAST_FORWARD_END = range(4)
STEADY_FROM, STEADY_TO = 4, 5
MARKS = 6


class Tables(NamedTuple):
    """The wiring as arrays. Slot 2 u + phase of a unit lists its channels; `ring` is where a
    channel's memory of `depth` items begins. Between ticks `full_from` and `full_to` of a unit the
    whole pipeline is full; the interval is measured over the later half of them. After
    `regular_from` nothing depends any more on samples that did not exist. Units
    of one region take turns, see Turn for `ahead` and `lag`; `beside` is the next one of a unit's
    region, after the last the first: itself where it is alone."""

    cycles: Ints
    starts: Ints
    delay: Ints
    trains: NDArray[np.bool_]
    update_waits: NDArray[np.bool_]
    apart: NDArray[np.bool_]
    is_host: NDArray[np.bool_]
    full_from: Ints
    regular_from: Ints
    steady_from: Ints
    full_to: Ints
    inputs: Ints
    inputs_from: Ints
    outputs: Ints
    outputs_from: Ints
    producer: Ints
    beside: Ints
    ahead: Ints
    lag: Ints
    work: Ints
    occupancy: Ints
    latency: Ints
    depth: Ints
    ring: Ints
    is_whole: NDArray[np.bool_]
    parts: PartCycles


class State(NamedTuple):
    """Where everybody is. Units: tick, part of it (0 to 3, or its turn), own time, of one that is
    apart also that of its other phase (before a forward the end of the backward beside it, before a
    backward the beginning of its tick), when it had time for the last phase and when it began it,
    cycles spent. Channels: items given and taken so far, when links fall free, and per remembered
    item its times (`sent`, `got`, see LEFT and TAKEN). Recorded of a window of samples: `slices` of
    units, begin and end by phase; `moves` of channels, when an item was given and taken, and when
    its first part left and its last one was on the links, from some samples before the window on
    (-1: not yet). `total` is the sum of all times computed (wraps around), each a convex function
    of those before: see steady.py.
    """

    tick: Ints
    part: Ints
    time: Ints
    other: Ints
    ready: Ints
    began: Ints
    busy: Ints
    idle: Ints
    marks: Ints
    given: Ints
    taken: Ints
    links_free: Ints
    sent: Ints
    got: Ints
    total: Ints
    slices: Ints
    moves: Ints


def tables(wiring: Wiring, samples: int, period: int = 1) -> Tables:
    """Arrays for `run`; `samples` decides when the pipeline stops being full, and the interval is
    measured over a multiple of `period`."""
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
        starts=np.array([unit.start_cycles for unit in units], np.int64),
        delay=np.array([unit.delay for unit in units], np.int64),
        trains=np.array([unit.trains for unit in units]),
        update_waits=np.array([unit.update_waits for unit in units]),
        apart=np.array([unit.apart for unit in units]),
        is_host=np.arange(count) >= wiring.stages,
        full_from=full_from,
        regular_from=full_from + longest + depth.max(initial=0),
        steady_from=full_to - (full_to - full_from) // (2 * period) * period,
        full_to=full_to,
        inputs=inputs[0],
        inputs_from=inputs[1],
        outputs=outputs[0],
        outputs_from=outputs[1],
        producer=np.array([c.producer for c in channels], np.int64),
        beside=np.array([_beside(u, number) for number, u in enumerate(units)], np.int64),
        ahead=np.array([u.turn.ahead if u.turn else 0 for u in units], np.int64),
        lag=np.array([u.turn.lag if u.turn else 0 for u in units], np.int64),
        work=np.array([c.work_cycles for c in channels], np.int64),
        occupancy=np.array([c.occupancy_cycles for c in channels], np.int64),
        latency=np.array([c.latency_cycles for c in channels], np.int64),
        depth=depth,
        ring=np.concatenate(([0], np.cumsum(depth)[:-1])).astype(np.int64),
        is_whole=np.array([c.is_whole for c in channels], bool),
        parts=part_cycles(wiring),
    )


def start(table: Tables, window: tuple[int, int]) -> State:
    """Everybody at the start. `window` = (first sample, samples) is what is recorded; moves begin
    as many samples before it as a channel holds."""
    units, channels, items = len(table.delay), len(table.depth), int(table.depth.sum())
    before = int(table.depth.max(initial=0)) if window[1] else 0

    def zeros(*shape: int) -> Ints:
        return np.zeros(shape, np.int64)

    is_alone = table.beside == np.arange(units)
    waiting = np.where(is_alone, 0, TURN_OF_FORWARD).astype(np.int64)
    return State(
        *(
            zeros(units),
            waiting,
            table.starts.copy(),
            table.starts.copy(),
            zeros(units),
            zeros(units),
        ),
        *(zeros(units, 3), zeros(units, len(REASONS)), np.full((units, MARKS), -1, np.int64)),
        *(zeros(channels), zeros(channels), zeros(channels)),
        *(zeros(items, 6), zeros(items, 2)),
        zeros(1),
        np.full((units, window[1], 3, 2), -1, np.int64),
        np.full((channels, before + window[1], 4), -1, np.int64),
    )


def _beside(unit: Unit, number: int) -> int:
    others = sorted(unit.turn.others) if unit.turn else []
    return next((other for other in others if other > number), min((number, *others)))


def _lists(slots: list[int], count: int) -> tuple[Ints, Ints]:
    """Channel numbers grouped by slot, and where each slot's group begins (count + 1 entries)."""
    slot_of = np.array(slots, np.int64)
    order = np.argsort(slot_of, kind="stable")
    begins = np.concatenate(([0], np.cumsum(np.bincount(slot_of, minlength=count))))
    return order.astype(np.int64), begins.astype(np.int64)
