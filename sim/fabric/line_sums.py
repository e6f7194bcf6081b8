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
) -> None:
    """A sum over all of `line`, whose first PE lies `towards`, and back, in the way that is fastest
    (no star, if it `is_behind`); `how` is how a PE's first instruction starts."""
    pes, issue = len(line), round(target.noc.issue_cycles)
    groups = groups_of_tree(target, pes, words)
    if not is_behind and is_star(target, pes, words):
        add_star(found, line, words, colours, towards, how, issue)
    elif groups:
        add_tree(found, line, words, groups, colours, towards, how, issue)
    else:
        sums = colours[0], colours[1], colours[2], colours[3]
        in_chain = chain_is_faster(target, pes, words, behind_arithmetic=False)
        add_sum(found, line, range(pes), words, in_chain, sums, towards, how)
        add_multicast(found, line, range(pes), words, colours[4])


def is_star(target: Target, pes: int, words: int) -> bool:
    """Whether that is the fastest way to sum over a line and back."""
    star, tree, through_first = _ways(target, pes, words)
    return star < min(tree, through_first)


def groups_of_tree(target: Target, pes: int, words: int) -> int:
    """Groups of the tree, if that is faster than a sum to the first PE that comes back; else 0."""
    _, tree, through_first = _ways(target, pes, words)
    return int(tree_groups(target.noc, np.array(pes))) if tree < through_first else 0


def _ways(target: Target, pes: int, words: int) -> tuple[float, float, float]:
    """Cycles of a star, of a tree, and through the first PE."""
    noc, sizes = target.noc, (np.array(words), np.array(pes))
    tree = all_reduce_tree(noc, *sizes, tree_groups(noc, sizes[1]))
    back = broadcast(noc, *sizes) - noc.collective_start_cycles
    found = all_reduce_star(noc, *sizes), tree, reduce(noc, *sizes) + back
    return float(found[0]), float(found[1]), float(found[2])


def chain_is_faster(target: Target, pes: int, words: int, behind_arithmetic: bool) -> bool:
    """Than two phases. Arithmetic hides all words but the last of a chain, and of two phases those
    of the first."""
    last = np.array(1 if behind_arithmetic else words)
    one = reduce_chain(target.noc, last, np.array(pes))
    two = reduce_two_phase(target.noc, last, np.array(pes), np.array(_group_size(pes)))
    return bool(one <= two + (words - last))


def _group_size(pes: int) -> int:
    return max(1, ceil(pes**0.5))


def add_sum(
    found: FabricRegion,
    line: Places,
    members: range,
    words: int,
    in_chain: bool,
    colours: tuple[int, int, int, int],
    towards: Port,
    how: MessageCost,
) -> None:
    """To the first member of a line, in a chain or in two phases."""
    if in_chain:
        add_chain(found, line, members, words, colours[:2], towards, how)
    else:
        group = _group_size(len(members))
        add_two_phase(found, line, members, group, words, colours, towards, how)
