"""Shifting laid blocks to the places that make their wires shortest; their order stays."""

from __future__ import annotations

import numpy as np
from weft.compiler.place.packing import Block, Levels, Problem
from weft.compiler.place.packing.curves import curve_of
from weft.compiler.place.packing.settle import settled, wire_of


def _problem(areas: list[int], edges: list[tuple[int, int]], columns: int, rows: int) -> Problem:
    """Blocks of these areas in all whole shapes."""
    curves = []
    for area in areas:
        widths = np.arange(1, columns + 1)
        curves.append(curve_of(widths, -(-area // widths), columns))
    levels = Levels.of([1000.0], [curves], rows)
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    return Problem(columns, rows, levels, pairs, np.ones(len(edges)))


def test_settling_brings_joined_blocks_together_and_nothing_else() -> None:
    problem = _problem([6, 6, 6], [(0, 2)], 20, 10)
    blocks = (Block(0, 0, 3, 2), Block(0, 6, 2, 3), Block(15, 8, 3, 2))
    assert wire_of(problem, settled(problem, blocks)) == 2.0  # one right above the other
    odd = (Block(0, 0, 3, 2), Block(8, 4, 2, 3), Block(0, 5, 2, 3))
    assert wire_of(problem, settled(problem, odd)) == 3.0  # 2.5 apart and half a tile askew
