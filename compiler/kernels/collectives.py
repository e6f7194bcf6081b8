"""Time of collective communication on a line of PEs (Luczynski et al., arXiv:2404.15888).

    T = C + L * hop + (2 * ramp + 1) * D + start

C contention (words through the busiest ramp), L longest distance in hops, D longest chain of PEs
that wait for one another. The additive form and the start constant fit the vendor's fabric
simulator within 2 %; the paper's max(C, E / N + L) misses the same points by 3 to 6 %.

All functions take arrays of words and PEs and return cycles; one PE alone, or nothing to send,
costs nothing. Words are link words (`noc.link_bytes_per_cycle` bytes each).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..targets.target import Noc
from .tilings import Floats, Ints, ceil_div


@dataclass(frozen=True)
class AllReduce:
    """`rounds` sums of `words` each over `pes` PEs, in lines of `line`, and back to all of them."""

    rounds: int
    words: Ints
    pes: Ints
    line: Ints

    def cycles(self, noc: Noc) -> Floats:
        """Of all rounds, one after the other."""
        return self.rounds * all_reduce_area(noc, self.words, self.pes, self.line)


def words(noc: Noc, elements: Ints | int, itemsize: int) -> Ints:
    """Link words that carry `elements` values of `itemsize` bytes."""
    return ceil_div(np.asarray(elements) * itemsize, noc.link_bytes_per_cycle)


def transfer(noc: Noc, contention: Ints, distance: Ints, depth: Ints | int) -> Floats:
    """The formula above, in cycles; zero where nothing is sent or nothing is crossed."""
    return _started(noc, _flight(noc, contention, distance, depth))


def broadcast(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints | int = 1) -> Floats:
    """One PE's words to a line of `pes`: in one go with multicast, else from PE to PE.

    Each PE of the line is `spacing` hops from the next, and as many lines share every link (see
    `all_reduce`).
    """
    flight = _broadcast(noc, spacing * word_count, pes)
    return _started(noc, _spread(noc, flight, pes, spacing, ways=1))


def reduce_chain(noc: Noc, word_count: Ints, pes: Ints) -> Floats:
    """Each PE adds its words to what its neighbour sends and passes the sum on."""
    return _started(noc, _chain(noc, word_count, pes))


def reduce_two_phase(noc: Noc, word_count: Ints, pes: Ints, group_size: Ints) -> Floats:
    """Chains inside groups, then a chain between the group leaders."""
    return _started(noc, _two_phase(noc, word_count, pes, group_size))


def reduce(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints | int = 1) -> Floats:
    """The faster of a chain and two phases with groups of about the root of `pes`.

    Each PE of the line is `spacing` hops from the next, and as many lines share every link (see
    `all_reduce`).
    """
    flight = _reduce(noc, spacing * word_count, pes)
    return _started(noc, _spread(noc, flight, pes, spacing, ways=1))


def all_reduce(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints) -> Floats:
    """Reduce, then broadcast the sum: one operation, started once.

    Each PE of the line is `spacing` hops from the next. Those between do the same with theirs, so
    that `spacing` lines share every link, and each link carries the words of all. Lines take turns:
    what was summed first goes back while others are summed, on the links the other way.
    """
    flight = _reduce(noc, spacing * word_count, pes) + _broadcast(noc, word_count, pes)
    return _started(noc, _spread(noc, flight, pes, spacing, ways=2))


def reduce_behind(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints | int = 1) -> Floats:
    """What remains of a reduction behind arithmetic that makes the words one after the other.

    In a chain the multiply-add that completes a word is the addition too, so only the last word's
    way remains. In two phases the first cores of the groups add all words once more, while their
    arithmetic would need them: the second phase remains whole. Of `spacing` lines that share every
    link the sums are ready at the same time.
    """
    behind = _reduce_behind(noc, spacing * word_count, pes)
    return _started(noc, _spread(noc, behind, pes, spacing, ways=1))


def all_reduce_behind(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints) -> Floats:
    """The same of an all-reduce: cores that take words back do not compute meanwhile, and the sums
    of all lines are ready at the same time."""
    on_link = spacing * word_count
    behind = _reduce_behind(noc, on_link, pes) + _broadcast(noc, on_link, pes)
    return _started(noc, _spread(noc, behind, pes, spacing, ways=2))


def border(noc: Noc, received: Ints, passing: Ints, pes: Ints, spacing: Ints) -> Floats:
    """PEs of a line, `spacing` hops from each to the next, receive words from both sides.

    Each receives `received` words; `passing` words pass between two of them in one direction, on
    the way to the furthest PE that needs them, `pes` away. `spacing` such lines share the links.
    """
    return transfer(noc, np.maximum(received, spacing * passing), pes * spacing, 1)


def all_reduce_area(noc: Noc, word_count: Ints, pes: Ints, width: Ints) -> Floats:
    """All-reduce over `pes` PEs of a region `width` wide: along the rows, then down a column."""
    along_row = np.minimum(pes, width)
    rows = ceil_div(pes, along_row)
    flights = _all_reduce(noc, word_count, along_row) + _all_reduce(noc, word_count, rows)
    return _started(noc, flights)


def _started(noc: Noc, flight: Floats) -> Floats:
    return np.where(flight > 0, flight + noc.collective_start_cycles, 0.0)


def _flight(noc: Noc, contention: Ints, distance: Ints, depth: Ints | int) -> Floats:
    waits = (2 * noc.ramp_cycles + 1) * np.asarray(depth)
    cycles = contention + distance * noc.hop_cycles + waits
    return np.where((contention > 0) & (distance > 0), cycles, 0.0)


def _spread(noc: Noc, flight: Floats, pes: Ints, spacing: Ints | int, ways: int) -> Floats:
    """What a collective takes if its `pes` are no neighbours; it goes along their line `ways`
    times."""
    further = ways * (pes - 1) * (spacing - 1) * noc.hop_cycles
    return np.where(flight > 0, flight + further, 0.0)


def _broadcast(noc: Noc, word_count: Ints, pes: Ints) -> Floats:
    return _flight(noc, word_count, pes - 1, 1 if noc.multicast else pes - 1)


def _chain(noc: Noc, word_count: Ints, pes: Ints) -> Floats:
    return _flight(noc, word_count, pes - 1, pes - 1)


def _two_phase(noc: Noc, word_count: Ints, pes: Ints, group_size: Ints) -> Floats:
    """The last group, if smaller, is ready a step earlier, when the second phase begins with it."""
    uneven = (pes % group_size > 0) & (pes > group_size)
    depth = (group_size - 1) + (ceil_div(pes, group_size) - 1) - uneven
    return _flight(noc, 2 * word_count, pes - 1, depth)


def _reduce(noc: Noc, word_count: Ints, pes: Ints) -> Floats:
    two_phase = _two_phase(noc, word_count, pes, _group_size(pes))
    return np.minimum(_chain(noc, word_count, pes), two_phase)


def _reduce_behind(noc: Noc, word_count: Ints, pes: Ints) -> Floats:
    last = np.minimum(word_count, 1)
    two_phase = _two_phase(noc, last, pes, _group_size(pes)) + (word_count - last)
    return np.where(pes > 1, np.minimum(_chain(noc, last, pes), two_phase), 0.0)


def _group_size(pes: Ints) -> Ints:
    """About the root of `pes`."""
    return np.maximum(1, np.ceil(np.sqrt(pes))).astype(np.int64)


def _all_reduce(noc: Noc, word_count: Ints, pes: Ints) -> Floats:
    return _reduce(noc, word_count, pes) + _broadcast(noc, word_count, pes)
