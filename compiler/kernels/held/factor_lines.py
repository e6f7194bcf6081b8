"""On which lines of PEs the low-rank factors of a stage lie.

Of the columns of PEs only r hold a row of an A, of the rows of PEs only r a column of a B (see
machine/low_rank.py). From one row of A to the next there are `lines // r` columns, and each of the
stage's A's has its rows on another of them, as far as they go:

    rank 2, 7 columns    A1 A2 A3 A1 A2 A3 .        2 factors more    A1 A2 A3 A1 A2 A3 .
                                                                      A4 A5 .  A4 A5 .  .
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...machine.arrays import Bools, Ints
from ...machine.tilings import MULTICAST, Tilings
from ..layout import StageLayout


def on_fullest(layout: StageLayout, tilings: Tilings) -> Mapping[int, Bools]:
    """Of each factor of a stage, by number, whether the PE that holds most of them has a row of it.

    The longest are dealt out first, so that they lie on the first lines. Where lines are fewer than
    ranks, and under tilings whose products go otherwise, one PE holds rows of all.
    """
    matrices, beside = layout.matrices, layout.factors.values()
    downs = {n: matrices[n] for n in (one.down for one in beside) if n in matrices}
    ups = {n: matrices[n] for n in (one.up for one in beside) if n in matrices}
    columns = {n: (m.out_features, m.in_features) for n, m in downs.items()}
    rows = {n: (m.in_features, m.out_features) for n, m in ups.items()}
    found = _dealt_over(tilings.out_split, columns) | _dealt_over(tilings.in_split, rows)
    return {n: is_there | (tilings.algorithm != MULTICAST) for n, is_there in found.items()}


def _dealt_over(lines: Ints, ends: Mapping[int, tuple[int, int]]) -> dict[int, Bools]:
    """Of factors of (rank, length) each, which of them the first line has."""
    found: dict[int, Bools] = {}
    for rank in {rank for rank, _ in ends.values()}:
        own = [number for number in ends if ends[number][0] == rank]
        between = np.maximum(lines // rank, 1)
        for place, number in enumerate(sorted(own, key=lambda n: -ends[n][1])):
            found[number] = place % between == 0
    return found
