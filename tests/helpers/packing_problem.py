"""Blocks to be packed."""

from __future__ import annotations

import numpy as np
from weft.compiler.place.packing import Levels, Problem
from weft.compiler.place.packing.curves import curve_of


def problem_of(areas: list[int], edges: list[tuple[int, int]], columns: int, rows: int) -> Problem:
    """Blocks of these areas in all whole shapes."""
    curves = []
    for area in areas:
        widths = np.arange(1, columns + 1)
        curves.append(curve_of(widths, -(-area // widths), columns))
    levels = Levels.of([1000.0], [curves], rows)
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    return Problem(columns, rows, levels, pairs, np.ones(len(edges)))
