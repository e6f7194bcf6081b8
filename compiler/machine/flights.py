"""Flights of collectives, in scalar formulas that are compiled: one loop over all tilings for each.

A flight is what a collective takes from its first word to its last, without its start (see
collectives.py, which says what each form does). Lines of a table repeat themselves, in a row and
further on: what was computed for one is kept in a small table.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ..targets.target import Noc
from .arrays import Floats, Ints

_POSITIONS = 4
"""Of every colour that a router keeps: routes that control messages switch between."""
_BROADCAST_ROUTES, _CHAIN_ROUTES, _TWO_PHASE_ROUTES = 1, 2, 4
"""Of a line: one to all of it, two that a chain takes in turn, and those of two chains."""

_KNOWN = 2**12
"""Flights that a loop keeps in its table: what it takes lies in a core's own cache."""

TRANSFER, BROADCAST, CHAIN, TWO_PHASE, REDUCE = range(5)
ALL_REDUCE, MIDDLE, TREE, BEHIND, ALL_BEHIND, STAR, HANDED_ON = range(5, 12)
"""What a loop computes."""


class Links(NamedTuple):
    """What flights read of a mesh, in cycles: a `hop`, the `wait` of a PE that hands on (both
    ramps and the relay), what starts an instruction and a collective; and how many `routes` a
    router has."""

    hop: float
    wait: float
    issue: float
    start: float
    multicast: bool
    routes: int


def links(noc: Noc) -> Links:
    """Those of a mesh."""
    return Links(
        float(noc.hop_cycles),
        float(2 * noc.ramp_cycles + noc.relay_cycles),
        float(noc.issue_cycles),
        float(noc.collective_start_cycles),
        bool(noc.multicast),
        _POSITIONS * noc.colours,
    )


_inner = njit(cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[reportCallIssue]
"""Called by compiled code only: without ways in from Python, which take a third of the time to
compile."""


@njit(cache=True)
def loop(
    form: int, of: Links, count: int, words: Floats, pes: Ints, spacing: Ints, groups: Ints
) -> Floats:
    """The flights of `count` entries; arrays have as many, or one for all. Of a transfer `pes` are
    hops, and `groups` PEs that wait."""
    found = np.empty(count)
    known = np.full(_KNOWN, -1)  # the last entry with sizes of each hash
    for i in range(count):
        size = _size(words, pes, spacing, groups, i)
        place = _hash(size[0], size[1], size[2], size[3])
        before = known[place]
        if before >= 0 and size == _size(words, pes, spacing, groups, before):
            found[i] = found[before]
        else:
            found[i] = _one(form, of, size[0], size[1], size[2], size[3])
            known[place] = i
    return found


@_inner
def _size(
    words: Floats, pes: Ints, spacing: Ints, groups: Ints, i: int
) -> tuple[float, int, int, int]:
    """Those of one entry."""
    return (
        words[i if len(words) > 1 else 0],
        pes[i if len(pes) > 1 else 0],
        spacing[i if len(spacing) > 1 else 0],
        groups[i if len(groups) > 1 else 0],
    )


@_inner
def _hash(words: float, pes: int, spacing: int, groups: int) -> int:
    """A place among the `_KNOWN`; of sizes that differ in one number, as lines do, another one."""
    mixed = ((int(words) * 31 + pes) * 31 + spacing) * 31 + groups
    return (mixed ^ (mixed >> 12)) & (_KNOWN - 1)


@_inner
def _one(form: int, of: Links, words: float, pes: int, spacing: int, groups: int) -> float:
    if form == BROADCAST:
        return _broadcast_in_turns(of, words, pes, spacing)
    if form == REDUCE:
        return _to_first(of, words, pes, spacing, groups, 0)
    if form == ALL_REDUCE:
        handed_on = _handed_on(of, words, pes, spacing, groups)
        return handed_on if spacing > 1 or groups > 0 else min(handed_on, _star(of, words, pes))
    if form == HANDED_ON:
        return _handed_on(of, words, pes, spacing, groups)
    if form == BEHIND:
        return _behind(of, words, pes, spacing, groups, 0)
    if form == ALL_BEHIND:
        return _behind(of, words, pes, spacing, groups, 1)
    if form == MIDDLE:
        return _middle(of, words, pes, spacing)
    if form == TREE:
        return _tree(of, words, pes, groups)
    if form == STAR:
        return _star(of, words, pes)
    if form == CHAIN:
        return _chain(of, words, pes)
    if form == TWO_PHASE:
        return _two_phase(of, words, pes, groups)
    return _flight(of, words, pes, groups)


@_inner
def _flight(of: Links, contention: float, distance: float, depth: float) -> float:
    if contention > 0 and distance > 0:
        return contention + distance * of.hop + of.wait * depth
    return 0.0


@_inner
def _ceil_div(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


@_inner
def _broadcast(of: Links, words: float, pes: int) -> float:
    return _flight(of, words, pes - 1, 1 if of.multicast else pes - 1)


@_inner
def _chain(of: Links, words: float, pes: int) -> float:
    return _flight(of, words, pes - 1, pes - 1)


@_inner
def _two_phase(of: Links, words: float, pes: int, group_size: int) -> float:
    """The last group, if smaller, is ready a step earlier, when the second phase begins with it.
    One group, or groups of one, are a single chain."""
    depth = (group_size - 1) + (_ceil_div(pes, group_size) - 1)
    if pes > group_size and pes % group_size > 0:
        depth -= 1
    phases = 2 if group_size > 1 and pes > group_size else 1
    return _flight(of, phases * words, pes - 1, depth)


@_inner
def _group_size(pes: int) -> int:
    """About the root of `pes`."""
    return max(1, math.ceil(math.sqrt(pes)))


@_inner
def _may_chain(pes: int, groups: int) -> bool:
    """Whether so many groups are asked for that each has one PE, or one all, or none."""
    return groups <= 1 or groups >= pes


@_inner
def _asked_size(pes: int, groups: int) -> int:
    """PEs of each of the groups that are asked for; without any about the root of `pes`."""
    return _ceil_div(pes, groups) if groups > 1 else _group_size(pes)


@_inner
def _reduce(of: Links, words: float, pes: int, groups: int) -> float:
    chain = np.inf
    if _may_chain(pes, groups):
        chain = _chain(of, words, pes)
    if groups == 1 or groups >= pes:
        return chain
    return min(chain, _two_phase(of, words, pes, _asked_size(pes, groups)))


@_inner
def _turns(of: Links, lines: int, routes: int) -> int:
    """A router has routes for so many lines at once; the others come after them."""
    return _ceil_div(lines, max(1, of.routes // routes))


@_inner
def _spread(of: Links, flight: float, pes: int, spacing: int, ways: int) -> float:
    """What a collective takes if its `pes` are no neighbours; it goes along their line `ways`
    times."""
    return flight + ways * (pes - 1) * (spacing - 1) * of.hop if flight > 0 else 0.0


@_inner
def _again(of: Links, turns: int, flight: float) -> float:
    """All turns of lines, each started anew."""
    return turns * flight + (turns - 1) * of.start if flight > 0 else 0.0


@_inner
def _broadcast_in_turns(of: Links, words: float, pes: int, spacing: int) -> float:
    turns = _turns(of, spacing, _BROADCAST_ROUTES)
    one = _broadcast(of, _ceil_div(spacing, turns) * words, pes)
    return _again(of, turns, _spread(of, one, pes, spacing, 1))


@_inner
def _reduce_in_turns(
    of: Links, words: float, pes: int, spacing: int, groups: int, routes: int, comes_back: int
) -> float:
    """All lines that share links, and perhaps back from the first PE."""
    turns = _turns(of, spacing, routes + comes_back)
    lines = _ceil_div(spacing, turns)
    back = _broadcast(of, words, pes) if comes_back else 0.0
    if comes_back and pes == 2:
        back += _met(of, words, lines - 1)
    one = _reduce(of, lines * words, pes, groups) + back
    return _again(of, turns, _spread(of, one, pes, spacing, 1 + comes_back))


@_inner
def _met(of: Links, words: float, others: float) -> float:
    """What lines of two PEs lose to `others` on their links: what goes back would meet the words
    of the next line, a hop away. Fewer words than a hop has cycles have passed before."""
    return others * of.hop if words >= of.hop else 0.0


@_inner
def _to_first(
    of: Links, words: float, pes: int, spacing: int, groups: int, comes_back: int
) -> float:
    """Up in a chain or in two phases, as `_reduce` does, and perhaps back from the first PE."""
    either = chain = np.inf
    if _may_chain(pes, groups):
        chain = _reduce_in_turns(of, words, pes, spacing, 1, _CHAIN_ROUTES, comes_back)
    if groups == 0 or 1 < groups < pes:
        either = _reduce_in_turns(of, words, pes, spacing, groups, _TWO_PHASE_ROUTES, comes_back)
    return min(chain, either)


@_inner
def _behind(of: Links, words: float, pes: int, spacing: int, groups: int, comes_back: int) -> float:
    """In a chain or in two phases, as is asked for or whichever is faster; the first turn of lines
    hides."""
    if pes <= 1:
        return 0.0
    chain = np.inf
    if _may_chain(pes, groups):
        chain = _chain_behind(of, words, pes, spacing, comes_back)
    if groups == 1 or groups >= pes:
        return chain
    last, size = min(words, 1.0), _asked_size(pes, groups)
    turns = _turns(of, spacing, _TWO_PHASE_ROUTES + comes_back)
    on_link = _ceil_div(spacing, turns) * words
    alone, hidden = _two_phase(of, on_link, pes, size), _two_phase(of, last, pes, size)
    hidden = hidden + on_link - last
    return min(chain, _one_hides(of, alone, hidden, on_link, pes, spacing, turns, comes_back))


@_inner
def _chain_behind(of: Links, words: float, pes: int, spacing: int, comes_back: int) -> float:
    turns = _turns(of, spacing, _CHAIN_ROUTES + comes_back)
    on_link = _ceil_div(spacing, turns) * words
    alone, hidden = _chain(of, on_link, pes), _chain(of, min(words, 1.0), pes)
    return _one_hides(of, alone, hidden, on_link, pes, spacing, turns, comes_back)


@_inner
def _one_hides(
    of: Links,
    alone: float,
    hidden: float,
    on_link: float,
    pes: int,
    spacing: int,
    turns: int,
    comes_back: int,
) -> float:
    """The first turn of lines hides, those after it do not."""
    back = _broadcast(of, on_link, pes) if comes_back else 0.0
    hidden = _spread(of, hidden + back, pes, spacing, 1 + comes_back)
    alone = _spread(of, alone + back, pes, spacing, 1 + comes_back)
    return hidden + (turns - 1) * (alone + of.start) if alone > 0 else hidden


@_inner
def _handed_on(of: Links, words: float, pes: int, spacing: int, groups: int) -> float:
    """From PE to PE, and back."""
    if spacing <= 1 and groups > 1:
        return _tree(of, words, pes, _tree_groups(of, pes, groups))
    through_first = _to_first(of, words, pes, spacing, groups, 1)
    if groups == 1:
        return through_first
    if spacing > 1:
        return min(through_first, _middle(of, words, pes, spacing))
    return min(through_first, _tree(of, words, pes, _tree_groups(of, pes, groups)))


@_inner
def _middle(of: Links, words: float, pes: int, spacing: int) -> float:
    """Either way along the links the foremost line comes first: so one line's sums come last one
    way, another's the other way, and all that come have passed before any goes back."""
    if words <= 0 or pes <= 1:
        return 0.0
    turns = _turns(of, spacing, _CHAIN_ROUTES + 1)
    others = spacing / turns - 1
    there = _towards_middle(of, words, pes, spacing) + of.issue
    waiting = 0.0
    if others > 0 and pes == 2:
        waiting = others * words + _met(of, words, others)
    elif others > 0:
        there = pes // 2 * (of.wait + of.hop * spacing) + 2 * (words + of.issue)
        waiting = _behind_middles(of, words, pes, spacing, others)
    back = _flight(of, words, pes // 2 * spacing, 1 if of.multicast else pes // 2)
    return turns * (there + back + waiting) + (turns - 1) * of.start


@_inner
def _behind_middles(of: Links, words: float, pes: int, spacing: int, others: float) -> float:
    """The same of longer lines: until the first of all lines has its sum, and until the words of
    the others have gone back. Fewer words than a hop has cycles pass between those of other lines:
    then the last line's sum is what counts."""
    come, added = others * words, words + of.issue
    last = max(come / 2, come - added)
    if words < of.hop:
        return last
    return max(last, come + _first_summed(of, come, added, pes, spacing))


@_inner
def _first_summed(of: Links, come: float, added: float, pes: int, spacing: int) -> float:
    """How much later than a line alone the first of many has its sum: one in the middle of them,
    halfway between when its words come one way and when they come the other way. A line of an even
    number of PEs has its middle a step off, and may have added the nearer half before."""
    if pes % 2 == 1:
        return max(0.0, come - added) / 2
    halfway = (come - added - of.wait - of.hop * spacing) / 2
    return halfway if halfway >= 0 else min(0.0, max(halfway, come / 2 - added))


@njit(cache=True)
def tree_groups(of: Links, pes: int) -> int:
    """Groups with which a tree over `pes` is about as fast as it can be."""
    ratio = (of.wait + of.hop) / of.wait if of.wait else 1.0
    return int(min(max(np.rint(math.sqrt(pes * ratio)), 1), pes))


@_inner
def _tree_groups(of: Links, pes: int, groups: int) -> int:
    """Those asked for, at most one for each PE."""
    asked = min(groups, pes)
    return asked if asked > 1 else tree_groups(of, pes)


@_inner
def _tree(of: Links, words: float, pes: int, groups: int) -> float:
    if words <= 0 or pes <= 1:
        return 0.0
    size = _ceil_div(pes, groups)
    inside = _towards_middle(of, words, size, 1)
    between = _towards_middle(of, words, groups, size)
    issue = of.issue if inside > 0 and between > 0 else 0.0
    return inside + between + issue + _from_middle(of, words, pes, groups)


@_inner
def _star(of: Links, words: float, pes: int) -> float:
    """Both halves at once, each to the PE of it that lies in the middle; one of these two sends its
    sum to the other, which sends it back both ways."""
    if words <= 0 or pes <= 1:
        return 0.0
    middle = pes // 2
    behind = _to_centre(of, words, pes - 1 - middle)
    before = _to_centre(of, words, middle - 1)
    handed = before + (of.issue if before > 0 else 0.0) + of.wait + of.hop
    summed = max(behind + (of.issue if behind > 0 else 0.0), handed) + words
    return summed + of.issue + _flight(of, words, middle, 1 if of.multicast else middle)


@_inner
def _to_centre(of: Links, words: float, others: int) -> float:
    """So many PEs of a line to the one at its end, which adds a word a cycle, the nearest first:
    the first word has one hop to go, the last comes over all of them."""
    if others <= 0:
        return 0.0
    return of.wait + max(of.hop + others * words, others * of.hop + words)


@_inner
def _towards_middle(of: Links, words: float, pes: int, hops: int) -> float:
    """Two chains of PEs, `hops` apart, towards the middle one, which adds one after the other."""
    before, after = pes // 2, pes - 1 - pes // 2
    if before <= 0:
        return 0.0
    step, adding = of.wait + of.hop * hops, words + of.issue
    arrived = before * step
    return max(after * step + adding if after > 0 else 0.0, arrived) + words


@_inner
def _from_middle(of: Links, words: float, pes: int, groups: int) -> float:
    """Multicast of the middle group's middle PE, to the first half and then to the other; without
    multicast from PE to PE."""
    first, end = groups // 2 * pes // groups, (groups // 2 + 1) * pes // groups
    root = first + (end - first) // 2
    step = of.hop if of.multicast else of.wait + of.hop
    second = words + of.issue + step * (pes - 1 - root) if root < pes - 1 else 0.0
    return of.issue + (of.wait + words) + max(step * root, second)
