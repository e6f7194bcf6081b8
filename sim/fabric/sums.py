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
    """An all-reduce of `words` over `pes` PEs that lie in rows of `width`, one after the other."""

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
    add_sum(found, line, words, target, sums, towards, how)
    add_multicast(found, line, words, back, Message())


def add_sum(
    found: Region,
    line: Places,
    words: int,
    target: Target,
    colours: tuple[int, int, int, int],
    towards: Port,
    how: Message,
    behind_arithmetic: bool = False,
) -> None:
    """To the first of a line, the faster way of the two: in a chain, or in two phases.

    Arithmetic hides all words but the last of a chain, and of two phases those of the first.
    """
    pes, group = len(line), max(1, ceil(len(line) ** 0.5))
    last = np.array(1 if behind_arithmetic else words)
    one = reduce_chain(target.noc, last, np.array(pes))
    two = reduce_two_phase(target.noc, last, np.array(pes), np.array(group))
    if one <= two + (words - last):
        add_chain(found, line, range(pes), words, colours[:2], towards, how)
    else:
        add_two_phase(found, line, group, words, colours, towards, how)
