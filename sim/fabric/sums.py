"""Sums over PEs that hold parts of one result, stepped: along rows, then down columns, and back."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from ...compiler.kernels.collectives import reduce_chain, reduce_two_phase
from ...compiler.targets.target import Target
from .kernels import Message, Places, add_chain, add_multicast, add_two_phase
from .region import Port, Region
from .run import run

_ALONG_ROW, _DOWN, _BACK = (0, 1, 2, 3), (4, 5, 6, 7), (8, 9)


@dataclass(frozen=True)
class Sum:
    """An all-reduce of `words` over `pes` PEs that lie in lines of `width`, one after the other."""

    words: int
    pes: int
    width: int


def sum_cycles(of: Sum, target: Target) -> int:
    """Cycles of an all-reduce, every PE stepped: over each row, then over each column.

    Raises UserError for a target whose latencies the fabric level cannot step.
    """
    return 0 if of.pes == 1 else run(sum_region(of, target), target).cycles


def sum_region(of: Sum, target: Target) -> Region:
    """Routes and programs; every PE of the rectangle ends with the sum."""
    width = min(of.pes, of.width)
    height = ceil(of.pes / width)
    found = Region(height, width, colours=10)
    start = Message(round(target.noc.collective_start_cycles))
    rows = [[(row, column) for column in range(width)] for row in range(height)]
    columns = [[(row, column) for row in range(height)] for column in range(width)]
    for line in rows:
        _all_reduce(found, line, of.words, target, Port.WEST, start)
    for line in columns:
        _all_reduce(found, line, of.words, target, Port.NORTH, start if width == 1 else Message())
    return found


def _all_reduce(
    found: Region, line: Places, words: int, target: Target, towards: Port, how: Message
) -> None:
    if len(line) == 1:
        return
    sums, back = (_ALONG_ROW, _BACK[0]) if towards is Port.WEST else (_DOWN, _BACK[1])
    in_chain = chain_is_faster(target, len(line), words, behind_arithmetic=False)
    add_sum(found, line, range(len(line)), words, in_chain, sums, towards, how)
    add_multicast(found, line, range(len(line)), words, back)


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
    found: Region,
    line: Places,
    members: range,
    words: int,
    in_chain: bool,
    colours: tuple[int, int, int, int],
    towards: Port,
    how: Message,
) -> None:
    """To the first member of a line, in a chain or in two phases."""
    if in_chain:
        add_chain(found, line, members, words, colours[:2], towards, how)
    else:
        group = _group_size(len(members))
        add_two_phase(found, line, members, group, words, colours, towards, how)
