"""A sum over a line of PEs and back to all of them, in two levels, stepped."""

from __future__ import annotations

from itertools import pairwise

from .kernels import MessageCost, Places, add_chain, add_multicast
from .region import OPPOSITE, FabricRegion, Port


def add_tree(
    found: FabricRegion,
    line: Places,
    words: int,
    groups: int,
    colours: range,
    towards: Port,
    how: MessageCost,
    issue: int,
) -> None:
    """Over all of `line`, whose first PE lies `towards`.

    Both halves of a group run a chain to its middle PE, which adds one after the other; the middle
    PEs do so among themselves; the middle one of all sends the sum to one half, then to the other.
    `how` is how a PE's first instruction starts, the others take `issue` cycles.
    """
    bounds = [number * len(line) // groups for number in range(groups + 1)]
    inside = [range(first, end) for first, end in pairwise(bounds)]
    later = MessageCost(issue)
    for group in inside:
        _towards_middle(found, line, list(group), words, colours[:4], towards, how, later)
    leaders = [group[len(group) // 2] for group in inside]
    first = how if groups == len(line) else later
    _towards_middle(found, line, leaders, words, colours[4:8], towards, first, later)
    root = leaders[len(leaders) // 2]
    if root > 0:
        add_multicast(found, line, range(root, -1, -1), words, colours[8], later)
    if root < len(line) - 1:
        add_multicast(found, line, range(root, len(line)), words, colours[9], later)


def _towards_middle(
    found: FabricRegion,
    line: Places,
    members: list[int],
    words: int,
    colours: range,
    towards: Port,
    how: MessageCost,
    later: MessageCost,
) -> None:
    """The half behind the middle PE first, then the half before it."""
    middle = len(members) // 2
    behind, before = members[middle:], members[middle::-1]
    away = OPPOSITE[towards]
    if len(behind) > 1:
        add_chain(found, line, behind, words, _pair(colours[:2]), towards, how)
    if len(before) > 1:
        second = later if len(behind) > 1 else how
        add_chain(found, line, before, words, _pair(colours[2:]), away, how, second)


def _pair(colours: range) -> tuple[int, int]:
    return colours[0], colours[1]
