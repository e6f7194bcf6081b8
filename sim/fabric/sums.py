"""Sums over PEs that hold parts of one result, stepped: along rows, then down columns, and back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...compiler.machine.collectives import AllReduce
from ...compiler.targets.target import Target
from .kernels import MessageCost
from .line_sums import ROUTES, add_all_reduce
from .region import FabricRegion, Port
from .run import run
from .slices import Copies, copies_cycles


@dataclass(frozen=True)
class Sum:
    """An all-reduce of `words` along lines of `along` PEs, then over `across` of them, `spacing`
    rows from each to the next, in `groups`; one that `is_behind`, or has groups, is no star."""

    words: int
    along: int
    across: int
    spacing: int = 1
    is_behind: bool = False
    groups: int = 0

    @property
    def pes(self) -> int:
        return self.along * self.across

    @property
    def formula(self) -> AllReduce:
        """The same at the level above."""
        words, along, across, spacing, groups = (
            np.array([size])
            for size in (self.words, self.along, self.across, self.spacing, self.groups)
        )
        return AllReduce(1, words, along, across, spacing, groups, self.is_behind)


def sum_cycles(of: Sum, target: Target) -> int:
    """Cycles of an all-reduce, every PE stepped: over each row, then over each column; or, where
    that is faster, over the column of its own words, and over the row again.

    Raises UserError for a target whose latencies the fabric level cannot step.
    """
    if of.pes == 1:
        return 0
    if of.spacing == 1 or of.across == 1:
        return run(sum_region(of, target), target).cycles
    along = sum_cycles(replace(of, across=1, spacing=1), target)
    formula = of.formula
    is_dealt = bool(formula.is_dealt(target.noc)[0])
    words = int(formula.dealt_words[0]) if is_dealt else of.words
    across = copies_cycles(Copies(of.across, of.spacing, words, of.groups), target)
    parts = [*[along] * (1 + is_dealt), across]
    start = round(target.noc.collective_start_cycles)
    return sum(parts) - start * (sum(part > 0 for part in parts) - 1)


def sum_region(of: Sum, target: Target) -> FabricRegion:
    """Routes and programs of neighbours; every PE of the rectangle ends with the sum."""
    found = FabricRegion(of.across, of.along, colours=2 * ROUTES)
    start = MessageCost(round(target.noc.collective_start_cycles))
    rows = [[(row, column) for column in range(of.along)] for row in range(of.across)]
    columns = [[(row, column) for row in range(of.across)] for column in range(of.along)]
    form = of.is_behind, of.groups
    for line in rows if of.along > 1 else ():
        add_all_reduce(found, line, of.words, range(ROUTES), Port.WEST, start, target, *form)
    for line in columns if of.across > 1 else ():
        how, colours = start if of.along == 1 else MessageCost(), range(ROUTES, 2 * ROUTES)
        add_all_reduce(found, line, of.words, colours, Port.NORTH, how, target, *form)
    return found
