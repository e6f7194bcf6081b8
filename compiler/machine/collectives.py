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

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..targets.target import Noc
from .arrays import Bools, Floats, Ints, ceil_div, remembered

_POSITIONS = 4
"""Of every colour that a router keeps: routes that control messages switch between."""
_BROADCAST_ROUTES, _CHAIN_ROUTES, _TWO_PHASE_ROUTES = 1, 2, 4
"""Of a line: one to all of it, two that a chain takes in turn, and those of two chains."""


@dataclass(frozen=True)
class AllReduce:
    """`rounds` sums of `words` each, and back to all PEs that hold a part: along lines of `along`
    neighbours, then over `across` such lines, `spacing` hops from each to the next. Lines are
    summed in `groups` first; 0: as is fastest. If it `is_behind`, it goes on while the operators
    that follow run.

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
        along, across, dealt = self._flights(noc)
        return self.rounds * _started(noc, along + np.minimum(across, dealt))

    def is_dealt(self, noc: Noc) -> Bools:
        """Whether each PE of a line sums words of its own over the others: where that is faster."""
        _, across, dealt = self._flights(noc)
        return dealt < across

    @property
    def dealt_words(self) -> Ints:
        """Of a PE, of those that are dealt out over a line."""
        return ceil_div(self.words, np.clip(self.along, 1, np.maximum(self.words, 1)))

    def _flights(self, noc: Noc) -> tuple[Floats, Floats, Floats]:
        """Along a line; over the lines, either way. Neighbours have links of their own and deal out
        nothing."""
        lines = self.across, self.spacing, self.groups
        along = _all_reduce(noc, self.words, self.along, np.ones_like(self.along), self.groups)
        across = _all_reduce(noc, self.words, *lines)
        dealt = _all_reduce(noc, self.dealt_words, *lines) + along
        return along, across, np.where(self.spacing > 1, dealt, across)

    def beside_cycles(self, noc: Noc) -> Floats:
        """What it takes of other operators that run meanwhile: instructions of their PEs, and time
        of their links."""
        dealt, one = self.is_dealt(noc), np.ones_like(self.along)
        own = np.where(dealt, self.dealt_words, self.words)
        along = (1 + dealt) * _beside(noc, self.words, self.along, one)
        return self.rounds * (along + _beside(noc, own, self.across, self.spacing))


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
    return _started(noc, _flight(noc, contention, distance, depth))


def broadcast(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints | int = 1) -> Floats:
    """One PE's words to a line of `pes`: in one go with multicast, else from PE to PE.

    Each PE of the line is `spacing` hops from the next, and as many lines share every link (see
    `all_reduce`).
    """
    return _started(
        noc,
        _in_turns(
            *(noc, spacing, _BROADCAST_ROUTES, pes, 1),
            lambda lines: _broadcast(noc, lines * word_count, pes),
        ),
    )


def reduce_chain(noc: Noc, word_count: Ints, pes: Ints) -> Floats:
    """Each PE adds its words to what its neighbour sends and passes the sum on."""
    return _started(noc, _chain(noc, word_count, pes))


def reduce_two_phase(noc: Noc, word_count: Ints, pes: Ints, group_size: Ints) -> Floats:
    """Chains inside groups, then a chain between the group leaders."""
    return _started(noc, _two_phase(noc, word_count, pes, group_size))


def reduce(
    noc: Noc, word_count: Ints, pes: Ints, spacing: Ints | int = 1, groups: Ints | int = 0
) -> Floats:
    """A chain, or two phases in `groups`; 0: the faster, with groups of about the root of `pes`.

    Each PE of the line is `spacing` hops from the next, and as many lines share every link (see
    `all_reduce`).
    """
    return _started(noc, _to_first(noc, word_count, pes, spacing, groups, comes_back=False))


def all_reduce(
    noc: Noc, word_count: Ints, pes: Ints, spacing: Ints, groups: Ints | int = 0
) -> Floats:
    """A sum over a line and back to all of it: to its first PE or its middle one and from there, or
    by a tree of `groups`; 0: what is fastest, 1: a chain to the first PE.

    Each PE of the line is `spacing` hops from the next. Those between do the same with theirs, so
    that `spacing` lines share every link, and each link carries the words of all. Lines take turns:
    what was summed first goes back while others are summed, on the links the other way. More lines
    than a router has routes for come after those that have one, started anew. Trees need links of
    their own.
    """
    return _started(noc, _all_reduce(noc, word_count, pes, spacing, groups))


def all_reduce_tree(noc: Noc, word_count: Ints, pes: Ints, groups: Ints) -> Floats:
    """A sum over a line of neighbours and back to all of it, in two levels.

    Inside each of `groups` groups, as equal as can be, both halves run a chain towards the PE in
    the middle; the middle PEs run chains towards the middle group's; that one sends the sum back by
    multicast, to one side and then to the other.
    """
    return _started(noc, _tree(noc, word_count, pes, groups))


def all_reduce_middle(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints) -> Floats:
    """A sum over a line in two chains towards its middle PE, which adds one after the other and
    sends the sum back both ways at once.

    Each PE is `spacing` hops from the next; so many lines share every link and take turns, as in
    `all_reduce`.
    """
    return _started(noc, _middle(noc, word_count, pes, spacing))


def tree_groups(noc: Noc, pes: Ints) -> Ints:
    """Groups with which a tree over `pes` is about as fast as it can be.

    A line of p in g groups takes p / 2g steps inside a group and g / 2 between them, in which hops
    count for both: the sum is least where g * g = p * (2 ramp + relay + hop) / (2 ramp + relay).
    """
    between = 2 * noc.ramp_cycles + noc.relay_cycles
    ratio = (between + noc.hop_cycles) / between if between else 1.0
    return np.clip(np.rint(np.sqrt(pes * ratio)), 1, pes).astype(np.int64)


def reduce_behind(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints | int = 1) -> Floats:
    """What remains of a reduction behind arithmetic that makes the words one after the other.

    In a chain the multiply-add that completes a word is the addition too, so only the last word's
    way remains. In two phases the first cores of the groups add all words once more, while their
    arithmetic would need them: the second phase remains whole. Of `spacing` lines that share every
    link the sums are ready at the same time; lines without a route come after, behind nothing.
    """
    return _started(noc, _behind(noc, word_count, pes, spacing, comes_back=False))


def all_reduce_behind(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints) -> Floats:
    """The same of an all-reduce: cores that take words back do not compute meanwhile, and the sums
    of all lines are ready at the same time."""
    behind = _started(noc, _behind(noc, word_count, pes, spacing, comes_back=True))
    return np.minimum(behind, all_reduce(noc, word_count, pes, spacing))


def border(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints) -> Floats:
    """PEs of a line, `spacing` hops from each to the next, send words one way, then the other.

    Each receives `word_count` words from either side, from up to `pes` PEs away; those between pass
    on what came to them. The links are this line's own.
    """
    return transfer(noc, 2 * word_count, 2 * pes * spacing, 2 * pes)


def _started(noc: Noc, flight: Floats) -> Floats:
    return np.where(flight > 0, flight + noc.collective_start_cycles, 0.0)


def _flight(noc: Noc, contention: Ints, distance: Ints, depth: Ints | int) -> Floats:
    waits = (2 * noc.ramp_cycles + noc.relay_cycles) * np.asarray(depth)
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
    """The last group, if smaller, is ready a step earlier, when the second phase begins with it.
    One group, or groups of one, are a single chain."""
    uneven = (pes % group_size > 0) & (pes > group_size)
    depth = (group_size - 1) + (ceil_div(pes, group_size) - 1) - uneven
    phases = 1 + ((group_size > 1) & (pes > group_size))
    return _flight(noc, phases * word_count, pes - 1, depth)


@remembered
def _reduce(noc: Noc, word_count: Ints, pes: Ints, groups: Ints | int = 0) -> Floats:
    asked = np.asarray(groups)
    size = np.where(asked > 1, ceil_div(pes, np.maximum(asked, 1)), _group_size(pes))
    chain, two_phase = _chain(noc, word_count, pes), _two_phase(noc, word_count, pes, size)
    chosen = np.where(asked > 1, two_phase, np.minimum(chain, two_phase))
    return np.where(asked == 1, chain, chosen)


def _behind(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints | int, comes_back: bool) -> Floats:
    """In a chain or in two phases, whichever is faster; the first turn of lines hides."""
    last, size = np.minimum(word_count, 1), _group_size(pes)

    def in_chain(on_link: Ints) -> tuple[Floats, Floats]:
        return _chain(noc, on_link, pes), _chain(noc, last, pes)

    def in_two_phases(on_link: Ints) -> tuple[Floats, Floats]:
        hidden = _two_phase(noc, last, pes, size) + on_link - last
        return _two_phase(noc, on_link, pes, size), hidden

    found = []
    for routes, form in ((_CHAIN_ROUTES, in_chain), (_TWO_PHASE_ROUTES, in_two_phases)):
        turns = _turns(noc, np.asarray(spacing), routes + comes_back)
        on_link = ceil_div(spacing, turns) * word_count
        back = comes_back * _broadcast(noc, on_link, pes)
        ways = (_spread(noc, one + back, pes, spacing, 1 + comes_back) for one in form(on_link))
        alone, hidden = ways
        found.append(hidden + (turns - 1) * (alone + noc.collective_start_cycles * (alone > 0)))
    return np.where(pes > 1, np.minimum(*found), 0.0)


def _group_size(pes: Ints) -> Ints:
    """About the root of `pes`."""
    return np.maximum(1, np.ceil(np.sqrt(pes))).astype(np.int64)


@remembered
def _all_reduce(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints, groups: Ints | int) -> Floats:
    through_first = _to_first(noc, word_count, pes, spacing, groups, comes_back=True)
    tree = _tree(noc, word_count, pes, _tree_groups(noc, pes, groups))
    middle = np.minimum(through_first, _middle(noc, word_count, pes, spacing))
    asked = np.asarray(groups)
    chosen = np.where(asked > 1, tree, np.minimum(through_first, tree))
    chosen = np.where(spacing > 1, middle, chosen)
    return np.where(asked == 1, through_first, chosen)


def _to_first(
    noc: Noc,
    word_count: Ints,
    pes: Ints,
    spacing: Ints | int,
    groups: Ints | int,
    comes_back: bool,
) -> Floats:
    """Up in a chain or in two phases, as `_reduce` does, and perhaps back from the first PE."""
    back = comes_back * _broadcast(noc, word_count, pes)
    in_chain, either = (
        _in_turns(
            *(noc, spacing, routes + comes_back, pes, 1 + comes_back),
            lambda lines, asked=asked: _reduce(noc, lines * word_count, pes, asked) + back,
        )
        for routes, asked in ((_CHAIN_ROUTES, 1), (_TWO_PHASE_ROUTES, groups))
    )
    chosen = np.where(np.asarray(groups) == 1, in_chain, np.minimum(in_chain, either))
    return np.where(np.asarray(groups) > 1, either, chosen)


def _turns(noc: Noc, lines: Ints, routes: int) -> Ints:
    """A router has routes for so many lines at once; the others come after them."""
    return ceil_div(lines, max(1, _POSITIONS * noc.colours // routes))


Flight = Callable[[Ints], Floats]
"""Of so many lines that share links."""


def _in_turns(
    noc: Noc, lines: Ints | int, routes: int, pes: Ints, ways: int, flight: Flight
) -> Floats:
    """All `lines` that share links, `ways` times along them, each turn of them started anew."""
    turns = _turns(noc, np.asarray(lines), routes)
    one = _spread(noc, flight(ceil_div(lines, turns)), pes, lines, ways)
    return turns * one + (turns - 1) * noc.collective_start_cycles * (one > 0)


def _middle(noc: Noc, word_count: Ints, pes: Ints, spacing: Ints) -> Floats:
    """A link carries the words of all lines twice: those that come, and in the middle those that
    have gone back already; but of two lines that start together, each goes one way first. With
    every second line a link loses a cycle."""
    turns = _turns(noc, spacing, _CHAIN_ROUTES + 1)
    there = _towards_middle(noc, word_count, pes, spacing) + noc.issue_cycles
    back = _flight(noc, word_count, pes // 2 * spacing, 1 if noc.multicast else pes // 2)
    lines = spacing - turns
    others = lines // 2 + word_count * np.where(pes > 2, 2 * lines - (lines > 0), lines)
    flight = turns * (there + back) + (turns - 1) * noc.collective_start_cycles + others
    return np.where((word_count > 0) & (pes > 1), flight, 0.0)


def _tree_groups(noc: Noc, pes: Ints, groups: Ints | int) -> Ints:
    """Those asked for, at most one for each PE."""
    asked = np.minimum(np.asarray(groups), pes)
    return np.where(asked > 1, asked, tree_groups(noc, pes))


def _tree(noc: Noc, word_count: Ints, pes: Ints, groups: Ints) -> Floats:
    size = ceil_div(pes, groups)
    inside = _towards_middle(noc, word_count, size, 1)
    between = _towards_middle(noc, word_count, groups, size)
    issue = np.where(between > 0, noc.issue_cycles, 0.0)
    flight = inside + between + issue + _from_middle(noc, word_count, pes, groups, size)
    return np.where((word_count > 0) & (pes > 1), flight, 0.0)


def _towards_middle(noc: Noc, word_count: Ints, pes: Ints, hops: Ints | int) -> Floats:
    """Two chains of PEs, `hops` apart, towards the middle one, which adds one after the other."""
    before, after = pes // 2, pes - 1 - pes // 2
    step, adding = step_cycles(noc, hops), word_count + noc.issue_cycles
    arrived = np.maximum(np.where(after > 0, after * step + adding, 0.0), before * step)
    return np.where(before > 0, arrived + word_count, 0.0)


def _from_middle(noc: Noc, word_count: Ints, pes: Ints, groups: Ints, size: Ints) -> Floats:
    """Multicast of the middle group's middle PE, to the first half and then to the other; without
    multicast from PE to PE."""
    root = groups // 2 * size + size // 2
    step = noc.hop_cycles if noc.multicast else step_cycles(noc)
    second = word_count + noc.issue_cycles + step * (pes - 1 - root)
    way = 2 * noc.ramp_cycles + noc.relay_cycles + word_count
    farther = np.maximum(step * root, second).astype(np.float64)
    return noc.issue_cycles + way + farther
