"""Growing brings centres level, overlaps nothing, and takes only sizes that there are."""

from __future__ import annotations

from helpers.packing_problem import problem_of
from weft.compiler.place.contest.grow import grown
from weft.compiler.place.packing import Block
from weft.compiler.place.packing.settle import settled, wire_of

_ROW = (Block(0, 1, 3, 4), Block(3, 1, 3, 5), Block(6, 1, 3, 5), Block(9, 1, 3, 6))


def test_centres_of_a_row_come_level() -> None:
    problem = problem_of([12, 15, 15, 18], [(0, 1), (1, 2), (2, 3)], 12, 10)
    blocks = settled(problem, grown(problem, _ROW, lambda number, width, height: width == 3))
    assert wire_of(problem, _ROW) > 9
    assert wire_of(problem, blocks) == 9.0
    for old, new in zip(_ROW, blocks, strict=True):
        assert (new.width, new.height >= old.height) == (old.width, True)


def test_sizes_that_there_are_not_and_room_that_there_is_not() -> None:
    problem = problem_of([12, 15, 15, 18], [(0, 1), (1, 2), (2, 3)], 12, 10)
    assert grown(problem, _ROW, lambda *size: False) == _ROW
    low = tuple(Block(4 * k, 0, 4, 2 + k % 2) for k in range(3))
    tight = problem_of([8, 12, 8], [(0, 1), (1, 2)], 12, 3)
    for block in grown(tight, low, lambda *size: True):
        assert block.y + block.height <= 3
        assert (block.x, block.width) in {(0, 4), (4, 4), (8, 4)}
