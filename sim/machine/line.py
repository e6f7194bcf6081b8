"""A line of PEs that send, receive and add: exact recurrences over their times.

Every function takes the cycle at which each PE of the line is ready and returns the cycle at which
it is ready again. Times only ever add and take maxima, so shifting all inputs shifts all outputs.

A word that leaves a core crosses a ramp, some hops, and the ramp of the receiver; a core that adds
its own word and passes the sum on needs `relay` cycles in between. A vector of words streams, one
word per link cycle plus its share of a datapath beat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...compiler.targets.target import Target
from .pe import software

Times = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Timing:
    """Cycles of the steps of a message; `word` is what one more word of a vector costs."""

    hop: float
    ramp: float
    relay: float
    issue: float
    word: float

    @property
    def neighbour(self) -> float:
        """From one core's sum to the next core's sum, one hop away."""
        return 2 * self.ramp + self.relay + self.hop


def timing(target: Target, beat_bytes: int) -> Timing:
    """The target's message timing for vectors that move `beat_bytes` per datapath cycle."""
    return Timing(
        hop=target.noc.hop_cycles,
        ramp=target.noc.ramp_cycles,
        relay=software(target, "relay_cycles"),
        issue=software(target, "fabric_issue_cycles"),
        word=1 + target.noc.link_bytes_per_cycle / beat_bytes,
    )


def all_reduce_tree(ready: Times, groups: int, words: int, of: Timing, sends: int) -> Times:
    """Sum over the line, in two levels, and back to all of it.

    Inside each of `groups` groups, as equal as can be, both halves run a chain towards the PE in
    the middle; the middle PEs run chains towards the middle group's; that one sends the sum back
    by multicast, in one instruction to both sides or in `sends` = 2.
    """
    bounds = np.arange(groups + 1) * len(ready) // groups
    leaders = (bounds[:-1] + bounds[1:]) // 2
    done = ready.copy()
    for leader, first, last in zip(leaders, bounds[:-1], bounds[1:], strict=True):
        _sum_into(done, leader, np.arange(first, last), words, of)
    root = leaders[groups // 2]
    _sum_into(done, root, leaders, words, of)
    return _broadcast(done, root, words, of, sends)


def _sum_into(done: Times, root: int, pes: Places, words: int, of: Timing) -> None:
    """Chains along both arms of `pes`, then the root adds what arrives, first from below."""
    arms = pes[pes > root][::-1], pes[pes < root]
    adding = words * of.word
    arrivals = [
        _chain(done, arm, root, of.issue, of.relay, of.ramp, of.hop, adding)
        for arm in arms
        if len(arm)
    ]
    for arrival in arrivals:
        done[root] = max(done[root] + of.issue, arrival + of.ramp) + adding


@njit(cache=True)
def _chain(
    done: Times,
    arm: Places,
    root: int,
    issue: float,
    relay: float,
    ramp: float,
    hop: float,
    adding: float,
) -> float:
    """Each PE of `arm` adds its words to the sum so far. Cycle at which it reaches the root."""
    arrival = -np.inf
    for index, pe in enumerate(arm):
        onward = arm[index + 1] if index + 1 < len(arm) else root
        start = max(done[pe] + issue, arrival + ramp)
        done[pe] = start + adding + relay
        arrival = start + relay + ramp + hop * abs(onward - pe)
    return arrival


def _broadcast(done: Times, root: int, words: int, of: Timing, sends: int) -> Times:
    position = np.arange(len(done))
    first = done[root] + of.issue
    second = first + (sends - 1) * (words * of.word + of.issue)
    leaving = np.where(position < root, first, second) + of.relay
    arrival = leaving + 2 * of.ramp + of.hop * np.abs(position - root)
    received = np.maximum(done + of.issue, arrival) + words * of.word
    received[root] = second + words * of.word
    return received


def sums_around(pes: int, step: float, words: int, of: Timing) -> float:
    """Cycles of `pes` steps, each of which ends with a sum along the line to another PE.

    A PE takes `step` cycles of its own before it adds its words. The PE that gets the sum goes
    round a ring folded into the line: out over every second PE, back over the others.
    """
    ready, adding = np.zeros(pes), words * of.word
    for root in (0, *range(1, pes, 2), *range((pes - 1) // 2 * 2, 0, -2)):
        ready += step + of.issue
        for arm in (ready[:root:-1], ready[:root]):
            if len(arm):
                behind = np.arange(len(arm)) * of.neighbour
                start = np.maximum.accumulate(arm - behind) + behind
                arm[:] = start + of.relay + adding
                ready[root] = max(ready[root], start[-1] + of.neighbour) + adding
    return float(ready.max())


def chain_cycles(pes: int, words: int, of: Timing) -> float:
    """A sum that runs once along `pes` PEs, from the first word sent to the last sum formed."""
    return of.issue + (pes - 1) * of.neighbour + (words - 1) * of.word


def broadcast_cycles(pes: int, words: int, of: Timing) -> float:
    """One PE's words to all of a line by multicast."""
    return of.issue + 2 * of.ramp + (pes - 1) * of.hop + (words - 1) * of.word


def exchange_cycles(pes: int, repeats: int, step: float, of: Timing) -> float:
    """`repeats` blocking exchanges: each PE sends right, then waits for what comes from the left.

    A PE is busy `step` cycles an exchange. The PE at the left end waits for nobody; how late its
    neighbours run travels one PE per exchange, so that the last PE waits `pes` - 1 times.
    """
    return repeats * step + min(repeats, pes - 1) * of.neighbour


def steady_period(advance: Sequence[Times]) -> float:
    """Mean time between the last two of a run of repeated kernels."""
    return float(np.mean(advance[-1] - advance[-2]))
