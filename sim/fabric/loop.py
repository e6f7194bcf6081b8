"""The hot loop: every router and every core of a region, one cycle after the other.

A router holds one queue per colour, fed from the one port that the colour's route listens to. A
wavelet leaves when every port of its route is free: the link carries nothing else in this cycle and
the queue behind it has room (room as it was when the cycle began, so that the order in which PEs
are visited does not matter). Colours that want the same link take turns. A core handles one word of
its instruction per cycle. A slot of a queue holds the cycle at which its word may be seen, and the
word.

A PE that cannot do anything before some cycle says so in `wake` and is not visited until then, or
until a neighbour sends it something; cycles in which nobody is awake are skipped.

All state of a colour at a PE is one record of 40 numbers, reached by one index: a lane.
"""

from __future__ import annotations

import numpy as np
from numba import njit

QUEUE = 8
_MASK = QUEUE - 1
_RAMP_BIT = 16
_NEVER = 2**31 - 1

FINISHED, STUCK = 1, 2

# A lane: slots of the router's queue, slots of the queue into the core, and their counters. A
# counter block is (first slot in use, first free slot, cycle of the last removal).
LANE = 40
_CORE_SLOTS, _ROUTER, _CORE = 16, 32, 36
# A core: where it is in its program, and the instruction it is in.
_LINE, _END, _BEGUN, _SENT, _GOT, _OPERATION, _WORDS, _IN, _OUT = 0, 1, 2, 3, 4, 5, 6, 7, 8
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
def _push(lanes, words, slots, counters, word, ready):
    tail = lanes[counters + 1]
    place = slots + 2 * (tail & _MASK)
    lanes[place] = ready
    words[place + 1] = word
    lanes[counters + 1] = tail + 1


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


@njit(cache=True, inline="always")
def _route(pe, now, first, colours, outputs, hops, lanes, words, wake, link_words, hop, ramp):
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
        place = lane + 2 * (head & _MASK)
        ready = lanes[place]
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
            room = room and _has_room(lanes, hops[route, 1 + 3 * copy] + _ROUTER, now)
        if not room:
            continue
        word = words[place + 1]
        for copy in range(count):
            target = hops[route, 1 + 3 * copy]
            other = hops[route, 2 + 3 * copy]
            _push(lanes, words, target, target + _ROUTER, word, now + hop)
            wake[other] = min(wake[other], now + hop)
            link_words[hops[route, 3 + 3 * copy]] += 1
        if ports >= _RAMP_BIT:
            _push(lanes, words, lane + _CORE_SLOTS, lane + _CORE, word, now + ramp)
        lanes[lane + _ROUTER] = head + 1
        lanes[lane + _ROUTER + 2] = now
        busy |= ports
        moved += 1
    return moved, soonest


@njit(cache=True, inline="always")
def _work(pe, now, colours, core, lanes, words, memory, arrived, ramp, relay):
    """One cycle of a core in a vector instruction: whether it ended, words moved, next look."""
    operation, length = core[pe, _OPERATION], core[pe, _WORDS]
    source = (pe * colours + core[pe, _IN]) * LANE
    sink = (pe * colours + core[pe, _OUT]) * LANE
    sent, got = core[pe, _SENT], core[pe, _GOT]
    acted, soonest, ready, place = 0, _NEVER, False, 0
    head = lanes[source + _CORE]
    if operation != _SEND and got < length and head != lanes[source + _CORE + 1]:
        place = source + _CORE_SLOTS + 2 * (head & _MASK)
        ready = lanes[place] <= now
        soonest = max(lanes[place], now + 1)
    sends = operation == _SEND or operation >= _ADD_AND_SEND
    can_send = sends and sent < length and _has_room(lanes, sink + _ROUTER, now)
    if ready and (operation != _ADD_AND_SEND or can_send):
        word = words[place + 1]
        lanes[source + _CORE] = head + 1
        lanes[source + _CORE + 2] = now
        if operation == _RECEIVE:
            memory[pe, got] = word
        elif operation == _ADD:
            memory[pe, got] += word
        elif operation == _EXCHANGE:
            arrived[pe, got] = word
        else:
            total = word + memory[pe, sent]
            _push(lanes, words, sink, sink + _ROUTER, total, now + ramp + relay)
            sent += 1
        got += 1
        acted += 1
    if can_send and operation != _ADD_AND_SEND:
        _push(lanes, words, sink, sink + _ROUTER, memory[pe, sent], now + ramp)
        sent += 1
        acted += 1
    if acted > 0 or (sends and sent < length and operation != _ADD_AND_SEND):
        soonest = now + 1
    core[pe, _SENT] = sent
    core[pe, _GOT] = got
    ended = (not sends or sent == length) and (operation == _SEND or got == length)
    if ended and operation == _EXCHANGE:
        for word_index in range(length):
            memory[pe, word_index] = arrived[pe, word_index]
    return ended, acted, soonest


@njit(cache=True)
def _next_event(wake, after):
    """Least wake-up cycle later than `after`."""
    soonest = _NEVER
    for pe in range(wake.size):
        if wake[pe] > after:
            soonest = min(soonest, wake[pe])
    return soonest


@njit(cache=True)
def simulate(colours, outputs, hops, code, starts, memory, words, hop, ramp, relay, patience):
    """Run until every core has finished its program, or nothing has moved for `patience` cycles.

    `words` (PE x colour x LANE) float32 is zeroed working space. Returns status, cycles, the cycle
    at which each PE's last instruction ended, words per link (PE x 4), and each PE's line.
    """
    pes = starts.size - 1
    lanes = words.view(np.int32)
    for route in range(pes * colours):
        lanes[route * LANE + _ROUTER + 2] = -1
        lanes[route * LANE + _CORE + 2] = -1
    core = np.zeros((pes, _STATE), np.int32)
    wake = np.zeros(pes, np.int32)
    finish = np.zeros(pes, np.int32)
    link_words = np.zeros(pes * 4, np.int64)
    arrived = np.zeros_like(memory)
    unfinished = 0
    for pe in range(pes):
        core[pe, _LINE] = starts[pe]
        core[pe, _END] = starts[pe + 1]
        unfinished += starts[pe] < starts[pe + 1]
        _begin(core, code, pe, 0)

    now, last_move, moves, status = 0, 0, 0, STUCK
    while unfinished > 0:
        before, awake = moves, False
        first = now % colours
        for pe in range(pes):
            if wake[pe] > now:
                continue
            moved, following = _route(
                pe, now, first, colours, outputs, hops, lanes, words, wake, link_words, hop, ramp
            )
            if core[pe, _LINE] < core[pe, _END]:
                begun = core[pe, _BEGUN]
                if now < begun:
                    following = min(following, begun)
                else:
                    if core[pe, _OPERATION] == _COMPUTE:
                        last = begun + max(1, core[pe, _WORDS]) - 1
                        ended, acted, look = now >= last, 1, last
                    else:
                        ended, acted, look = _work(
                            pe, now, colours, core, lanes, words, memory, arrived, ramp, relay
                        )
                    moved += acted
                    following = min(following, look)
                    if ended:
                        finish[pe] = now + 1
                        core[pe, _LINE] += 1
                        _begin(core, code, pe, now + 1)
                        following = now + 1
                        unfinished -= core[pe, _LINE] == core[pe, _END]
            wake[pe] = max(following, now + 1)
            moves += moved
            awake |= following <= now + 1
        if moves > before:
            last_move = now
        if not awake or now - last_move > patience:
            later = _next_event(wake, now + 1 if awake else now)
            if later == _NEVER:
                break
            now = later - 1
            last_move = now
        now += 1
    if unfinished == 0:
        status = FINISHED
    return status, now, finish, link_words, core[:, _LINE].copy()
