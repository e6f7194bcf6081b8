"""Shifting laid blocks to the places that make their wires shortest; their order stays."""

from __future__ import annotations

from helpers.packing_problem import problem_of
from weft.compiler.place.packing import Block
from weft.compiler.place.packing.settle import settled, wire_of


def test_settling_brings_joined_blocks_together_and_nothing_else() -> None:
    problem = problem_of([6, 6, 6], [(0, 2)], 20, 10)
    blocks = (Block(0, 0, 3, 2), Block(0, 6, 2, 3), Block(15, 8, 3, 2))
    assert wire_of(problem, settled(problem, blocks)) == 2.0  # one right above the other
    odd = (Block(0, 0, 3, 2), Block(8, 4, 2, 3), Block(0, 5, 2, 3))
    assert wire_of(problem, settled(problem, odd)) == 3.0  # 2.5 apart and half a tile askew
