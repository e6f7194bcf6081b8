"""Sums along one line of PEs: which form is stepped, and its routes."""

from __future__ import annotations

from math import ceil

import numpy as np

from ...compiler.machine.collectives import (
    all_reduce_tree,
    broadcast,
    reduce,
    reduce_chain,
    reduce_two_phase,
    tree_groups,
)
from ...compiler.targets.target import Target
from .kernels import MessageCost, Places, add_chain, add_two_phase
from .region import FabricRegion, Port


def groups_of_tree(target: Target, pes: int, words: int) -> int:
    """Groups of the tree, if that is faster than a sum to the first PE that comes back; else 0."""
    noc, sizes = target.noc, (np.array(words), np.array(pes))
    groups = tree_groups(noc, sizes[1])
    there_and_back = reduce(noc, *sizes) + broadcast(noc, *sizes) - noc.collective_start_cycles
    return int(groups) if all_reduce_tree(noc, *sizes, groups) < there_and_back else 0


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
