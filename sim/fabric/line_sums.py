"""Sums along one line of PEs: which form is stepped, and its routes."""

from __future__ import annotations

from math import ceil

import numpy as np

from ...compiler.machine.collectives import (
    all_reduce_star,
    all_reduce_tree,
    broadcast,
    reduce,
    reduce_chain,
    reduce_two_phase,
    tree_groups,
)
from ...compiler.targets.target import Target
from .kernels import MessageCost, Places, add_chain, add_multicast, add_two_phase
from .region import FabricRegion, Port
from .star import add_star
from .tree import add_tree

ROUTES = 10
"""Colours that a sum over a line and back takes at most."""


def add_all_reduce(
    found: FabricRegion,
    line: Places,
    words: int,
    colours: range,
    towards: Port,
    how: MessageCost,
    target: Target,
    is_behind: bool = False,
    groups: int = 0,
) -> None:
    """A sum over all of `line`, whose first PE lies `towards`, and back, in the `groups` that are
    asked for, or in the way that is fastest (no star, if it `is_behind`); `how` is how a PE's first
    instruction starts."""
    pes, issue = len(line), round(target.noc.issue_cycles)
    tree = groups_of_tree(target, pes, words, groups)
    if not (is_behind or groups) and is_star(target, pes, words):
        add_star(found, line, words, colours, towards, how, issue)
    elif tree:
        add_tree(found, line, words, tree, colours, towards, how, issue)
    else:
        sums = colours[0], colours[1], colours[2], colours[3]
        size = group_size(target, pes, words, behind_arithmetic=False, groups=groups)
        add_sum(found, line, range(pes), words, size, sums, towards, how)
        add_multicast(found, line, range(pes), words, colours[4])


def is_star(target: Target, pes: int, words: int) -> bool:
    """Whether that is the fastest way to sum over a line and back."""
    star, tree, through_first = _ways(target, pes, words)
    return star < min(tree, through_first)


def groups_of_tree(target: Target, pes: int, words: int, groups: int = 0) -> int:
    """Groups of the tree, if so many are asked for or if that is faster than a sum to the first PE
    that comes back; else 0."""
    if groups:
        return min(groups, pes) if groups > 1 else 0
    _, tree, through_first = _ways(target, pes, words)
    return int(tree_groups(target.noc, np.array(pes))) if tree < through_first else 0


def _ways(target: Target, pes: int, words: int) -> tuple[float, float, float]:
    """Cycles of a star, of a tree, and through the first PE."""
    noc, sizes = target.noc, (np.array(words), np.array(pes))
    tree = all_reduce_tree(noc, *sizes, tree_groups(noc, sizes[1]))
    back = broadcast(noc, *sizes) - noc.collective_start_cycles
    found = all_reduce_star(noc, *sizes), tree, reduce(noc, *sizes) + back
    return float(found[0]), float(found[1]), float(found[2])


def group_size(
    target: Target, pes: int, words: int, behind_arithmetic: bool, groups: int = 0
) -> int:
    """PEs of each of the `groups` of two phases, 1 for a chain; of no groups of the faster.
    Arithmetic hides all words but the last of a chain, and of two phases those of the first."""
    if groups:
        return ceil(pes / groups) if groups > 1 else 1
    size, last = max(1, ceil(pes**0.5)), np.array(1 if behind_arithmetic else words)
    one = reduce_chain(target.noc, last, np.array(pes))
    two = reduce_two_phase(target.noc, last, np.array(pes), np.array(size))
    return 1 if one <= two + (words - last) else size


def add_sum(
    found: FabricRegion,
    line: Places,
    members: range,
    words: int,
    size: int,
    colours: tuple[int, int, int, int],
    towards: Port,
    how: MessageCost,
) -> None:
    """To the first member of a line, in two phases with groups of `size`, or in a chain if 1."""
    if size == 1:
        add_chain(found, line, members, words, colours[:2], towards, how)
    else:
        add_two_phase(found, line, members, size, words, colours, towards, how)
