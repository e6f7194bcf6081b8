"""Time of collective communication on a line of PEs.

    T = C + L * hop + (2 * ramp + relay) * D + start

C contention (words through the busiest ramp), L longest distance in hops, D longest chain of PEs
that wait for one another (Luczynski et al., arXiv:2404.15888). The additive form and the start
constant fit the vendor's fabric simulator within 2 %; the paper's max(C, E / N + L) misses the same
points by 3 to 6 %.

All functions take arrays of words and PEs and return cycles; one PE alone, or nothing to send,
costs nothing. Words are link words (`noc.link_bytes_per_cycle` bytes each). `start` has the first
instruction in it; those that begin when an earlier one has ended pay `noc.issue_cycles` each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...backend.per_object import once_per_object
from ..targets.target import Noc
from . import flights
from .arrays import Bools, Floats, Ints, ceil_div

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class AllReduce:
    """`rounds` sums of `words` each, and back to all PEs that hold a part: along lines of `along`
    neighbours, then over `across` such lines, `spacing` hops from each to the next. Lines are
    summed in `groups` first; 0: as is fastest. If it `is_behind`, it goes on while the operators
    that follow run, and from PE to PE: no star gives one of them the words of all.

    After the first sum all PEs of a line hold it. Either each of them sums all words over the other
    lines; or the words are dealt out over the PEs of the line, each sums its own, and one more sum
    along the line, to which each adds those, gives all words to all (`is_dealt`).
    """

    rounds: int
    words: Ints
    along: Ints
    across: Ints
    spacing: Ints
    groups: Ints
    is_behind: bool = False

    def cycles(self, noc: Noc) -> Floats:
        """Of all rounds, one after the other."""
        along, across, dealt = _ways(self, noc)
        return self.rounds * _started(noc, along + np.minimum(across, dealt))

    def is_dealt(self, noc: Noc) -> Bools:
        """Whether each PE of a line sums words of its own over the others: where that is faster."""
        _, across, dealt = _ways(self, noc)
        return dealt < across

    @property
    def dealt_words(self) -> Ints:
        """Of a PE, of those that are dealt out over a line."""
        return ceil_div(self.words, np.clip(self.along, 1, np.maximum(self.words, 1)))

    def beside_cycles(self, noc: Noc) -> Floats:
        """What it takes of other operators that run meanwhile: instructions of their PEs, and time
        of their links."""
        dealt, one = self.is_dealt(noc), np.ones_like(self.along)
        own = np.where(dealt, self.dealt_words, self.words)
        along = (1 + dealt) * _beside(noc, self.words, self.along, one)
        return self.rounds * (along + _beside(noc, own, self.across, self.spacing))


def _ways(of: AllReduce, noc: Noc) -> tuple[Floats, Floats, Floats]:
    """Along a line; over the lines, either way. Neighbours have links of their own and deal out
    nothing."""
    known = _known_ways(of)
    if noc not in known:
        known.clear()
        lines = of.across, of.spacing, of.groups
        form = flights.HANDED_ON if of.is_behind else flights.ALL_REDUCE
        along = _flights(form, noc, of.words, of.along, 1, of.groups)
        across = _flights(form, noc, of.words, *lines)
        dealt = _flights(form, noc, of.dealt_words, *lines) + along
        known[noc] = along, across, np.where(of.spacing > 1, dealt, across)
    return known[noc]


@once_per_object
def _known_ways(_: AllReduce) -> dict[Noc, tuple[Floats, Floats, Floats]]:
    """Those of the mesh that was asked for last."""
    return {}


def _beside(noc: Noc, word_count: Ints, pes: Ints, lines: Ints) -> Floats:
    own = adding_cycles(noc, word_count) + lines * word_count
    return np.where((pes > 1) & (word_count > 0), own, 0.0)


_ADDING = 3
"""Instructions over its words that a PE spends at most on a sum in the middle of a line: it adds
what comes from either side, and sends."""


def adding_cycles(noc: Noc, word_count: Ints) -> Floats:
    """Of a PE that adds up a line's words in between its other instructions."""
    return np.where(word_count > 0, _ADDING * (word_count + noc.issue_cycles), 0.0)


def words(noc: Noc, elements: Ints | int, itemsize: int) -> Ints:
    """Link words that carry `elements` values of `itemsize` bytes."""
    return ceil_div(np.asarray(elements) * itemsize, noc.link_bytes_per_cycle)


def step_cycles(noc: Noc, hops: Ints | int = 1) -> Floats:
    """From one core's sum to the sum of the next in a chain, `hops` away."""
    return np.asarray(2 * noc.ramp_cycles + noc.relay_cycles + noc.hop_cycles * np.asarray(hops))


def transfer(noc: Noc, contention: Ints, distance: Ints, depth: Ints | int) -> Floats:
    """The formula above, in cycles; zero where nothing is sent or nothing is crossed."""
    return _started(noc, _flights(flights.TRANSFER, noc, contention, distance, 1, depth))


def broadcast(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints | int = 1) -> Floats:
    """One PE's words to a line of `pes`: in one go with multicast, else from PE to PE.

    Each PE of the line is `spacing` hops from the next, and as many lines share every link (see
    `all_reduce`).
    """
    return _started(noc, _flights(flights.BROADCAST, noc, word_count, pes, spacing))


def reduce_chain(noc: Noc, word_count: Ints, pes: Ints) -> Floats:
    """Each PE adds its words to what its neighbour sends and passes the sum on."""
    return _started(noc, _flights(flights.CHAIN, noc, word_count, pes))


def reduce_two_phase(noc: Noc, word_count: Ints, pes: Ints, group_size: Ints) -> Floats:
    """Chains inside groups, then a chain between the group leaders."""
    return _started(noc, _flights(flights.TWO_PHASE, noc, word_count, pes, 1, group_size))


def reduce(
    noc: Noc, word_count: Ints, pes: Ints, spacing: Ints | int = 1, groups: Ints | int = 0
) -> Floats:
    """A chain, or two phases in `groups`; 0: the faster, with groups of about the root of `pes`.

    Each PE of the line is `spacing` hops from the next, and as many lines share every link (see
    `all_reduce`).
    """
    return _started(noc, _flights(flights.REDUCE, noc, word_count, pes, spacing, groups))


def all_reduce(
    noc: Noc, word_count: Ints, pes: Ints, spacing: Ints, groups: Ints | int = 0
) -> Floats:
    """A sum over a line and back to all of it: to its first PE or its middle one and from there, by
    a tree of `groups` or as a star; 0: what is fastest, 1: a chain to the first PE.

    Each PE of the line is `spacing` hops from the next. Those between do the same with theirs, so
    that `spacing` lines share every link, and each link carries the words of all. Lines take turns:
    what was summed first goes back while others are summed, on the links the other way. More lines
    than a router has routes for come after those that have one, started anew. Trees and
    stars need links of their own.
    """
    return _started(noc, _flights(flights.ALL_REDUCE, noc, word_count, pes, spacing, groups))


def all_reduce_tree(noc: Noc, word_count: Ints, pes: Ints, groups: Ints) -> Floats:
    """A sum over a line of neighbours and back to all of it, in two levels.

    Inside each of `groups` groups, as equal as can be, both halves run a chain towards the PE in
    the middle; the middle PEs run chains towards the middle group's; that one sends the sum back by
    multicast, to one side and then to the other.
    """
    return _started(noc, _flights(flights.TREE, noc, word_count, pes, 1, groups))


def all_reduce_middle(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints) -> Floats:
    """A sum over a line in two chains towards its middle PE, which adds one after the other and
    sends the sum back both ways at once.

    Each PE is `spacing` hops from the next; so many lines share every link and take turns, as in
    `all_reduce`.
    """
    return _started(noc, _flights(flights.MIDDLE, noc, word_count, pes, spacing))


def all_reduce_star(noc: Noc, word_count: Ints, pes: Ints) -> Floats:
    """A sum over a line of neighbours and back to all of it, in which nobody hands on.

    The PEs of either half send to the one of them in the middle: every router passes on the words
    of its own core first, then it switches to those from behind (`Star` of the paper above, both
    ways at once). One middle PE sends its sum to the other, which sends it back by multicast.
    A number so needs little more than the hops; the middle PEs take the words of all others.
    """
    return _started(noc, _flights(flights.STAR, noc, word_count, pes))


def tree_groups(noc: Noc, pes: Ints) -> Ints:
    """Groups with which a tree over `pes` is about as fast as it can be.

    A line of p in g groups takes p / 2g steps inside a group and g / 2 between them, in which hops
    count for both: the sum is least where g * g = p * (2 ramp + relay + hop) / (2 ramp + relay).
    """
    of, sizes = flights.links(noc), _whole(pes)
    found = [flights.tree_groups(of, one) for one in sizes.ravel().tolist()]
    return np.array(found, np.int64).reshape(sizes.shape)


def reduce_behind(
    noc: Noc, word_count: Ints, pes: Ints, spacing: Ints | int = 1, groups: Ints | int = 0
) -> Floats:
    """What remains of a reduction, `groups` as in `reduce`, behind arithmetic that makes the words
    one after the other.

    In a chain the multiply-add that completes a word is the addition too, so only the last word's
    way remains. In two phases the first cores of the groups add all words once more, while their
    arithmetic would need them: the second phase remains whole. Of `spacing` lines that share every
    link the sums are ready at the same time; lines without a route come after, behind nothing.
    """
    return _started(noc, _flights(flights.BEHIND, noc, word_count, pes, spacing, groups))


def all_reduce_behind(
    noc: Noc, word_count: Ints, pes: Ints, spacing: Ints, groups: Ints | int = 0
) -> Floats:
    """The same of an all-reduce: cores that take words back do not compute meanwhile, and the sums
    of all lines are ready at the same time."""
    behind = _started(noc, _flights(flights.ALL_BEHIND, noc, word_count, pes, spacing, groups))
    return np.minimum(behind, all_reduce(noc, word_count, pes, spacing, groups))


def border(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints) -> Floats:
    """PEs of a line, `spacing` hops from each to the next, send words one way, then the other.

    Each receives `word_count` words from either side, from up to `pes` PEs away; those between pass
    on what came to them. The links are this line's own.
    """
    return transfer(noc, 2 * word_count, 2 * pes * spacing, 2 * pes)


def _started(noc: Noc, flight: Floats) -> Floats:
    return np.where(flight > 0, flight + noc.collective_start_cycles, 0.0)


def _flights(
    form: int,
    noc: Noc,
    word_count: Ints | int,
    pes: Ints | int,
    spacing: Ints | int = 1,
    groups: Ints | int = 0,
) -> Floats:
    """A form of flights.py for every entry of the arrays."""
    contention = np.asarray(word_count, np.float64)
    line, apart, asked = map(_whole, (pes, spacing, groups))
    shape = np.broadcast_shapes(contention.shape, line.shape, apart.shape, asked.shape)
    counts = (_flat(sizes, shape) for sizes in (line, apart, asked))
    of = flights.links(noc)
    return flights.loop(form, of, math.prod(shape), _flat(contention, shape), *counts).reshape(
        shape
    )


def _flat(sizes: NDArray[T], shape: tuple[int, ...]) -> NDArray[T]:
    """All entries, or the only one, in an array of the kind that the loop is compiled for."""
    is_whole = sizes.size == 1 or sizes.shape == shape
    flat = (sizes if is_whole else np.broadcast_to(sizes, shape)).ravel()
    return flat if flat.flags.writeable else flat.copy()


def _whole(sizes: Ints | int) -> Ints:
    return np.asarray(sizes).astype(np.int64, casting="same_kind", copy=False)
