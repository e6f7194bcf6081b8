"""Where nodes lie: a cut's box holds its parts, and blocks are boxes on whole tiles."""

from __future__ import annotations

import numpy as np
from helpers.packing_problem import problem_of
from weft.compiler.place.packing.nested import nested_layout
from weft.compiler.place.packing.placed import blocks_of, boxes_of, fits
from weft.compiler.place.packing.tree import LEFT, RIGHT


def test_boxes_hold_their_parts_and_blocks_are_leaves() -> None:
    problem = problem_of([12, 8, 20, 9], [(0, 1)], 9, 9)
    layout = nested_layout(problem, np.arange(4), 0)
    assert layout is not None
    assert fits(problem, layout)
    box = boxes_of(problem, layout)
    for cut in range(4, 7):
        for side in (LEFT, RIGHT):
            part = layout.links[side, cut]
            for axis in (0, 1):
                assert box[axis, cut] <= box[axis, part]
                low, high = box[axis, part], box[axis, part] + 2 * box[2 + axis, part]
                assert box[axis, cut] <= low
                assert high <= box[axis, cut] + 2 * box[2 + axis, cut]
    for number, block in enumerate(blocks_of(problem, layout)):
        assert (2 * block.x, 2 * block.y) == tuple(box[:2, number] // 2 * 2)
        assert (block.width, block.height) == tuple(box[2:, number])


def test_what_is_too_high_does_not_fit() -> None:
    problem = problem_of([12, 8, 20, 9], [], 9, 5)
    layout = nested_layout(problem, np.arange(4), 0)
    assert layout is None or not fits(problem, layout)
