"""The hot loop: every router and every core of a region, one cycle after the other.

A router holds one queue per colour, fed from the one port that the colour's route listens to; if
the route switches, from the core first, then from a neighbour, which waits for it. A wavelet leaves
when every port of its route is free: the link carries nothing else in this cycle and the queue
behind it has room (room as it was when the cycle began, so that the order in which PEs are visited
does not matter). Colours that want the same link take turns. A core handles one word of its
instruction every `pace` cycles. A slot of a queue holds the cycle at which its word may be seen
and, in `values`, the word: one number for each of the equal components that are simulated at once,
none if only times are wanted.

A PE that cannot do anything before some cycle says so in `wake` and is not visited until then, or
until a neighbour sends it something; cycles in which nobody is awake are skipped.

All times of a colour at a PE are one record of 32 numbers, reached by one index: a lane.
"""

from __future__ import annotations

import numpy as np
from numba import njit

QUEUE = 8
_MASK = QUEUE - 1
_RAMP_BIT = 16
_NEVER = 2**31 - 1
LONGEST = 2**30
"""Cycles after which a run is given up: times are counted in 32 bits."""

FINISHED, STUCK, TOO_LONG = 1, 2, 3

# A lane: counters of the router's queue and of the queue into the core, then their slots. A counter
# block is (first slot in use, first free slot, cycle of the last removal). Of a route that switches
# also the cycle after which a neighbour's words may come, and the core's that come before.
LANE = 32
_ROUTER, _CORE, _ROUTER_SLOTS, _CORE_SLOTS = 0, 4, 8, 16
_SWITCHED, _OWN = 3, 7
# A core: where it is in its program, and the instruction it is in.
_LINE, _END, _BEGUN, _SENT, _GOT, _OPERATION, _WORDS, _IN, _OUT = 0, 1, 2, 3, 4, 5, 6, 7, 8
_PACE, _NEXT, _TURNS = 9, 10, 11
_STATE = 16
_COMPUTE, _SEND, _RECEIVE, _ADD, _ADD_AND_SEND, _EXCHANGE = 0, 1, 2, 3, 4, 5
# Where a lane's words go: how many other PEs, then (lane, PE, link) of each.
HOPS = 16


@njit(cache=True, inline="always")
def _has_room(lanes, counters, now):
    """Room in the queue whose counters start there, as of the beginning of this cycle."""
    held = lanes[counters + 1] - lanes[counters]
    if lanes[counters + 2] == now:
        held += 1
    return held < QUEUE


@njit(cache=True, inline="always")
def _push(lanes, slots, counters, ready):
    """Take a slot for a word that may be seen at `ready`; the slot's row in `values`."""
    tail = lanes[counters + 1]
    slot = slots + (tail & _MASK)
    lanes[slot] = ready
    lanes[counters + 1] = tail + 1
    return slot // LANE * 2 * QUEUE + (slot - _ROUTER_SLOTS) % LANE


@njit(cache=True, inline="always")
def _count_own(lanes, lane, now):
    """A word of the core more; with the last of them a route switches."""
    if lanes[lane + _OWN] > 0:
        lanes[lane + _OWN] -= 1
        if lanes[lane + _OWN] == 0:
            lanes[lane + _SWITCHED] = now


@njit(cache=True, inline="always")
def _begin(core, code, pe, now):
    """Load the instruction at the core's line, if there is one."""
    line = core[pe, _LINE]
    core[pe, _SENT] = 0
    core[pe, _GOT] = 0
    if line < core[pe, _END]:
        core[pe, _OPERATION] = code[line, 0]
        core[pe, _WORDS] = code[line, 1]
        core[pe, _IN] = code[line, 2]
        core[pe, _OUT] = code[line, 3]
        core[pe, _BEGUN] = now + code[line, 4]
        core[pe, _PACE] = code[line, 5]
        core[pe, _NEXT] = 0


@njit(cache=True, inline="always")
def _route(
    pe, now, first, colours, outputs, switched, hops, lanes, values, wake, link_words, hop, ramp
):
    """One cycle of a router: wavelets moved, and the next cycle at which it may have work."""
    soonest, busy, moved = _NEVER, 0, 0
    for turn in range(colours):
        colour = turn + first
        if colour >= colours:
            colour -= colours
        route = pe * colours + colour
        lane = route * LANE
        head = lanes[lane + _ROUTER]
        if head == lanes[lane + _ROUTER + 1]:
            continue
        ready = lanes[lane + _ROUTER_SLOTS + (head & _MASK)]
        if ready > now:
            soonest = min(soonest, ready)
            continue
        soonest = now + 1
        ports = outputs[route]
        if ports & busy:
            continue
        room = ports < _RAMP_BIT or _has_room(lanes, lane + _CORE, now)
        count = hops[route, 0]
        for copy in range(count):
            target = hops[route, 1 + 3 * copy]
            room = room and _has_room(lanes, target + _ROUTER, now)
            if switched is not None:
                room = room and lanes[target + _SWITCHED] < now
        if not room:
            continue
        here = route * 2 * QUEUE + (head & _MASK)
        for copy in range(count):
            target = hops[route, 1 + 3 * copy]
            other = hops[route, 2 + 3 * copy]
            there = _push(lanes, target + _ROUTER_SLOTS, target + _ROUTER, now + hop)
            for number in range(values.shape[1]):
                values[there, number] = values[here, number]
            wake[other] = min(wake[other], now + hop)
            link_words[hops[route, 3 + 3 * copy]] += 1
        if ports >= _RAMP_BIT:
            there = _push(lanes, lane + _CORE_SLOTS, lane + _CORE, now + ramp)
            for number in range(values.shape[1]):
                values[there, number] = values[here, number]
        lanes[lane + _ROUTER] = head + 1
        lanes[lane + _ROUTER + 2] = now
        busy |= ports
        moved += 1
    return moved, soonest


@njit(cache=True, inline="always")
def _work(pe, now, colours, switched, core, lanes, values, memory, arrived, ramp, relay):
    """One cycle of a core in a vector instruction: whether it ended, words moved, next look."""
    operation, length = core[pe, _OPERATION], core[pe, _WORDS]
    in_route, out_route = pe * colours + core[pe, _IN], pe * colours + core[pe, _OUT]
    source, sink = in_route * LANE, out_route * LANE
    sent, got = core[pe, _SENT], core[pe, _GOT]
    acted, soonest, ready, here = 0, _NEVER, False, 0
    head = lanes[source + _CORE]
    if operation != _SEND and got < length and head != lanes[source + _CORE + 1]:
        seen = lanes[source + _CORE_SLOTS + (head & _MASK)]
        here = in_route * 2 * QUEUE + QUEUE + (head & _MASK)
        ready = seen <= now
        soonest = max(seen, now + 1)
    sends = operation == _SEND or operation >= _ADD_AND_SEND
    can_send = sends and sent < length and _has_room(lanes, sink + _ROUTER, now)
    if ready and (operation != _ADD_AND_SEND or can_send):
        lanes[source + _CORE] = head + 1
        lanes[source + _CORE + 2] = now
        if operation == _RECEIVE:
            for number in range(values.shape[1]):
                memory[pe, got, number] = values[here, number]
        elif operation == _ADD:
            for number in range(values.shape[1]):
                memory[pe, got, number] += values[here, number]
        elif operation == _EXCHANGE:
            for number in range(values.shape[1]):
                arrived[pe, got, number] = values[here, number]
        else:
            there = _push(lanes, sink + _ROUTER_SLOTS, sink + _ROUTER, now + ramp + relay[pe])
            if switched is not None:
                _count_own(lanes, sink, now)
            for number in range(values.shape[1]):
                values[there, number] = values[here, number] + memory[pe, sent, number]
            sent += 1
        got += 1
        acted += 1
    if can_send and operation != _ADD_AND_SEND:
        there = _push(lanes, sink + _ROUTER_SLOTS, sink + _ROUTER, now + ramp + relay[pe])
        if switched is not None:
            _count_own(lanes, sink, now)
        for number in range(values.shape[1]):
            values[there, number] = memory[pe, sent, number]
        sent += 1
        acted += 1
    if acted > 0 or (sends and sent < length and operation != _ADD_AND_SEND):
        soonest = now + 1
    if acted > 0:
        core[pe, _NEXT] = now + core[pe, _PACE]
        soonest = core[pe, _NEXT] if sent == core[pe, _SENT] else min(core[pe, _NEXT], now + ramp)
    core[pe, _SENT] = sent
    core[pe, _GOT] = got
    ended = (not sends or sent == length) and (operation == _SEND or got == length)
    if ended and operation == _EXCHANGE:
        for word_index in range(length):
            for number in range(values.shape[1]):
                memory[pe, word_index, number] = arrived[pe, word_index, number]
    return ended, acted, soonest


@njit(cache=True, inline="always")
def _next_event(wake, core, now, awake):
    """Least cycle later than `now` in which something may happen. If PEs are `awake`, which look
    every cycle at words that wait, those that look in the next one do not count. A core counts
    itself: what its router looks at may wait for the instruction that it has yet to begin, or for
    the end of what it computes."""
    soonest = _NEVER
    for pe in range(wake.size):
        if wake[pe] > now + awake:
            soonest = min(soonest, wake[pe])
        if core[pe, _LINE] < core[pe, _END]:
            begun = max(core[pe, _BEGUN], core[pe, _NEXT])
            if begun <= now and core[pe, _OPERATION] == _COMPUTE:
                begun += max(1, core[pe, _WORDS]) - 1
            if begun > now:
                soonest = min(soonest, begun)
    return soonest


def simulate(
    colours, outputs, own_words, hops, code, starts, repeats, memory, hop, ramp, relay, patience
):
    """Run until every core has finished its program, or nothing has moved for `patience` cycles.

    `memory` is (PE, word, copy): what each core holds, in all equal components at once; `relay` has
    a number of cycles for each PE; `own_words` (PE, colour) come from the core before others.
    Returns status, cycles, the cycle at which each PE's last instruction ended, words per link
    (PE x 4), and each PE's line.
    """
    pes = starts.size - 1
    lanes = np.zeros((pes * colours, LANE), np.int32)
    lanes[:, _ROUTER + 2] = lanes[:, _CORE + 2] = -1
    lanes[:, _OWN] = own_words
    lanes[:, _SWITCHED] = np.where(own_words > 0, _NEVER, -1)
    switched = True if own_words.any() else None
    core = np.zeros((pes, _STATE), np.int32)
    values = np.zeros((pes * colours * 2 * QUEUE, memory.shape[2]), np.float32)
    finish, link_words = np.zeros(pes, np.int32), np.zeros(pes * 4, np.int64)
    status, now = _run(
        *(colours, outputs, switched, hops, code, starts, repeats, memory, hop, ramp, relay),
        patience,
        *(lanes.ravel(), values, core, np.zeros(pes, np.int32), finish, link_words),
        np.zeros_like(memory),
    )
    return status, now, finish, link_words, core[:, _LINE].copy()


@njit(cache=True, _nrt=False)  # pyright: ignore[reportCallIssue]
def _run(
    colours,
    outputs,
    switched,
    hops,
    code,
    starts,
    repeats,
    memory,
    hop,
    ramp,
    relay,
    patience,
    lanes,
    values,
    core,
    wake,
    finish,
    link_words,
    arrived,
):
    """The loop itself makes no arrays, so that none has to be counted. Where no route switches,
    `switched` is None, and what is there for switches is not compiled."""
    pes = starts.size - 1
    unfinished = 0
    for pe in range(pes):
        core[pe, _LINE] = starts[pe]
        core[pe, _END] = starts[pe + 1]
        core[pe, _TURNS] = repeats[pe]
        unfinished += starts[pe] < starts[pe + 1]
        _begin(core, code, pe, 0)

    now, last_move, moves = 0, 0, 0
    while unfinished > 0 and now < LONGEST:
        before, awake = moves, False
        first = now % colours
        for pe in range(pes):
            if wake[pe] > now:
                continue
            moved, following = _route(
                pe, now, first, colours, outputs, switched, hops, lanes, values, wake, link_words,
                hop, ramp,
            )  # fmt: skip
            if core[pe, _LINE] < core[pe, _END]:
                begun = max(core[pe, _BEGUN], core[pe, _NEXT])
                if now < begun:
                    following = min(following, begun)
                else:
                    if core[pe, _OPERATION] == _COMPUTE:
                        last = begun + max(1, core[pe, _WORDS]) - 1
                        ended, acted, look, after = now >= last, 1, last, now + 1
                    else:
                        ended, acted, look = _work(
                            pe, now, colours, switched, core, lanes, values, memory, arrived,
                            ramp, relay,
                        )  # fmt: skip
                        after = now + core[pe, _PACE]
                    moved += acted
                    following = min(following, look)
                    if ended:
                        finish[pe] = after
                        core[pe, _LINE] += 1
                        if core[pe, _LINE] == core[pe, _END] and core[pe, _TURNS] > 1:
                            core[pe, _TURNS] -= 1
                            core[pe, _LINE] = starts[pe]
                        _begin(core, code, pe, after)
                        following = min(following, after)
                        unfinished -= core[pe, _LINE] == core[pe, _END]
            wake[pe] = max(following, now + 1)
            moves += moved
            awake |= following <= now + 1
        if moves > before:
            last_move = now
        if not awake or now - last_move > patience:
            later = _next_event(wake, core, now, awake)
            if later == _NEVER:
                break
            now = later - 1
            last_move = now
        now += 1
    if unfinished == 0:
        return FINISHED, now
    return TOO_LONG if now >= LONGEST else STUCK, now
