"""Where the nodes and blocks of a layout lie, and whether it fits the wafer."""

from __future__ import annotations

import numpy as np

from .anneal import place_blocks
from .problem import Block, Problem, SlicedLayout


def fits(problem: Problem, layout: SlicedLayout) -> bool:
    """Whether a layout is inside the wafer."""
    return _placed(problem, layout)[2] <= problem.rows


def boxes_of(problem: Problem, layout: SlicedLayout) -> np.ndarray:
    """Rows twice left, twice lower edge, width and height of all nodes."""
    return _placed(problem, layout)[0]


def blocks_of(problem: Problem, layout: SlicedLayout) -> tuple[Block, ...]:
    """Where the blocks lie, on whole tiles."""
    box = boxes_of(problem, layout)
    return tuple(
        Block(int(box[0, i]) // 2, int(box[1, i]) // 2, int(box[2, i]), int(box[3, i]))
        for i in range(problem.count)
    )


def _placed(problem: Problem, layout: SlicedLayout) -> tuple[np.ndarray, float, int]:
    levels = problem.levels
    return place_blocks(
        layout.links, layout.root, layout.level, layout.narrow, problem.rows, levels.costs,
        levels.number, levels.heights, levels.widths, problem.edges, problem.weights,
    )  # fmt: skip
