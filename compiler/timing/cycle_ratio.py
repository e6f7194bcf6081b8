"""Maximum cycle ratio of a timed event graph.

A pipeline with fixed order and finite FIFOs is a timed event graph: event `head` of turn k happens
at least `weight` cycles after event `tail` of turn k - `tokens`. Its steady interval is the maximum
over all cycles of (sum of weights / sum of tokens), and it cannot move at all if a cycle has no
tokens: Baccelli, Cohen, Olsder, Quadrat, Synchronization and Linearity (1992), chapters 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...backend.numba_cache import loaded_first

Ints = NDArray[np.int64]

_PASSES = 4
"""Between two looks for a loop: one costs about as much as half a pass."""


class Arc(NamedTuple):
    """`head` of turn k waits for `tail` of turn k - tokens, plus weight cycles. `label` is free."""

    tail: int
    head: int
    weight: int
    tokens: int
    label: int


@dataclass(frozen=True)
class Critical:
    """The slowest cycle and its ratio in cycles per turn; no ratio (None) if it is a deadlock."""

    ratio: Fraction | None
    arcs: tuple[Arc, ...]


def maximum_cycle_ratio(events: int, arcs: tuple[Arc, ...]) -> Critical:
    """The critical cycle among `events` numbered from 0.

    Newton's iteration: while some cycle is longer than the present ratio allows, take its ratio.
    Exact, since lengths are integers (weight x denominator - tokens x numerator).
    """
    tail, head, weight, tokens = _columns(arcs)
    stuck = _positive_cycle(events, tail, head, 1 - tokens * (events + 1))
    if stuck.size:
        return Critical(None, tuple(arcs[i] for i in stuck))
    ratio, critical = Fraction(0), np.zeros(0, np.int64)
    while True:
        length = weight * ratio.denominator - tokens * ratio.numerator
        longer = _positive_cycle(events, tail, head, length)
        if not longer.size:
            return Critical(ratio, tuple(arcs[i] for i in critical))
        critical = longer
        ratio = Fraction(int(weight[critical].sum()), int(tokens[critical].sum()))


def longest_path(events: int, arcs: tuple[Arc, ...]) -> Ints:
    """Earliest time of every event when all may start at 0; `arcs` must not form a cycle."""
    tail, head, weight, _ = _columns(arcs)
    time, via, seen = np.zeros((3, events), np.int64)
    via[:] = -1
    _relax(time, via, seen, tail, head, weight)
    return time


def _columns(arcs: tuple[Arc, ...]) -> tuple[Ints, ...]:
    table = np.fromiter(chain.from_iterable(arcs), np.int64, 5 * len(arcs)).reshape(-1, 5)
    return tuple(np.ascontiguousarray(table[:, column]) for column in range(4))


def _positive_cycle(events: int, tail: Ints, head: Ints, length: Ints) -> Ints:
    """Arc numbers of a cycle whose length is positive; empty if there is none."""
    time, via, seen, found = np.zeros((4, events), np.int64)
    via[:] = -1
    return found[: _find_cycle(time, via, seen, tail, head, length, found)]


def _compiled(function: Any) -> Any:
    """A function that makes no arrays: those it needs are given to it."""
    plain = njit(cache=True, _nrt=False)  # pyright: ignore[reportCallIssue]
    return loaded_first(plain(function))


@_compiled
def _relax(time: Ints, via: Ints, seen: Ints, tail: Ints, head: Ints, length: Ints) -> int:
    """Bellman-Ford for longest paths. Returns an event on or behind a positive cycle, or -1.

    Once the reasons `via` lead in a loop, that is such a cycle (Cherkassky and Goldberg, 1999,
    Negative-cycle detection algorithms): there is no need to go on until all events were passed.
    """
    last = -1
    for number in range(time.size + 1):
        last = -1
        for arc in range(tail.size):
            reached = time[tail[arc]] + length[arc]
            if reached > time[head[arc]]:
                time[head[arc]], via[head[arc]], last = reached, arc, head[arc]
        if last < 0:
            return -1
        if number % _PASSES == _PASSES - 1:
            looped = _looped(via, seen, tail)
            if looped >= 0:
                return looped
    return last


@_compiled
def _looped(via: Ints, seen: Ints, tail: Ints) -> int:
    """An event whose reasons lead back to it, or -1. `seen` is room for an entry an event."""
    for event in range(via.size):
        seen[event] = -1
    for start in range(via.size):
        event = start
        while via[event] >= 0 and seen[event] < 0:
            seen[event] = start
            event = tail[via[event]]
        if via[event] >= 0 and seen[event] == start:
            return int(event)
    return -1


@_compiled
def _find_cycle(
    time: Ints, via: Ints, seen: Ints, tail: Ints, head: Ints, length: Ints, found: Ints
) -> int:
    """How many arcs a cycle whose length is positive has, or 0; `found` begins with them."""
    event = _relax(time, via, seen, tail, head, length)
    if event < 0:
        return 0
    for _ in range(time.size):
        event = tail[via[event]]
    stop, count = event, 0
    while True:
        found[count] = via[event]
        event = tail[via[event]]
        count += 1
        if event == stop:
            return count
