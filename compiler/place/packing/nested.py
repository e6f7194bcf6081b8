"""Runs of consecutive blocks: the exact curve of all slicing layouts whose parts are runs again.

With C(i, j) the curve of blocks i to j: the least, at every width, of C(i, k) stacked on C(k+1, j)
and of C(i, k) beside C(k+1, j), over all k. The lowest layout of all blocks packs tightly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from .anneal import place_blocks
from .curves import NONE, add, invert
from .problem import Problem, SlicedLayout
from .tree import ABREAST, CUT, LEFT, PARENT, RIGHT, STACKED


@njit(cache=True, nogil=True)
def _envelopes(heights, widths, longest):
    """Least heights by width, and least widths by height, of runs of up to `longest` blocks.

    Runs by length - 1 and first block.
    """
    blocks, columns, rows = heights.shape[0], heights.shape[1] - 1, widths.shape[1] - 1
    low = np.full((longest, blocks, columns + 1), NONE, np.int16)
    thin = np.full((longest, blocks, rows + 1), NONE, np.int16)
    by_width, by_height = np.zeros(columns + 1, np.int16), np.zeros(rows + 1, np.int16)
    low[0], thin[0] = heights, widths
    for length in range(2, longest + 1):
        own = length - 1
        for i in range(blocks - length + 1):
            for part in range(1, length):
                add(low[part - 1, i], low[own - part, i + part], rows, by_width)
                low[own, i] = np.minimum(low[own, i], by_width)
                add(thin[part - 1, i], thin[own - part, i + part], columns, by_height)
                thin[own, i] = np.minimum(thin[own, i], by_height)
            invert(low[own, i], by_height)
            thin[own, i] = np.minimum(thin[own, i], by_height)
            invert(thin[own, i], by_width)
            low[own, i] = np.minimum(low[own, i], by_width)
    return low, thin


class Runs:
    """The curves of all runs of up to `longest` blocks of an order at a level, and their cuts."""

    def __init__(self, problem: Problem, order: np.ndarray, level: int, longest: int) -> None:
        number = problem.levels.number[order, level]
        self.order, self.level, self.longest = order, level, min(longest, len(order))
        self._low, self._thin = _envelopes(
            problem.levels.heights[number], problem.levels.widths[number], self.longest
        )

    def widths_of(self, length: int) -> np.ndarray:
        """Least widths by height of the runs of this length, by first block."""
        return self._thin[length - 1]

    def height(self, first: int, last: int, width: int) -> int:
        """Least height of blocks `first` to `last` at a width."""
        return int(self._low[last - first, first, width])

    def maker(self) -> TreeMaker:
        """A maker of trees for these blocks."""
        return TreeMaker(len(self.order))

    def cut(self, maker: TreeMaker, first: int, last: int, width: int, height: int) -> int:
        """The node of blocks `first` to `last` in a rectangle that their curve allows."""
        if first == last:
            return int(self.order[first])
        for k in range(first, last):
            a, b = (k - first, first), (last - k - 1, k + 1)
            lower, upper = int(self._low[*a, width]), int(self._low[*b, width])
            if lower + upper <= height:
                below = self.cut(maker, first, k, width, lower)
                return maker.cut(below, self.cut(maker, k + 1, last, width, upper), STACKED)
            left, right = int(self._thin[*a, height]), int(self._thin[*b, height])
            if left + right <= width:
                beside = self.cut(maker, first, k, left, height)
                return maker.cut(beside, self.cut(maker, k + 1, last, right, height), ABREAST)
        raise ValueError("a curve without the cut that made it")


def nested_layout(problem: Problem, order: np.ndarray, level: int) -> SlicedLayout | None:
    """The lowest layout of blocks in this order at full width; None if none is near the wafer."""
    runs = Runs(problem, order, level, len(order))
    last = len(order) - 1
    height = runs.height(0, last, problem.columns)
    if height >= NONE:
        return None
    maker = runs.maker()
    root = runs.cut(maker, 0, last, problem.columns, height)
    return rated(problem, SlicedLayout(maker.links, root, level))


def rated(problem: Problem, layout: SlicedLayout) -> SlicedLayout:
    """The layout with its cost, too high or not."""
    levels = problem.levels
    _, cost, _ = place_blocks(
        layout.links, layout.root, layout.level, layout.narrow, problem.rows, levels.costs,
        levels.number, levels.heights, levels.widths, problem.edges, problem.weights,
    )  # fmt: skip
    return SlicedLayout(layout.links, layout.root, layout.level, layout.narrow, float(cost))


class TreeMaker:
    """Makes the links of a tree from below."""

    def __init__(self, blocks: int) -> None:
        self.links = np.full((4, 2 * blocks - 1), -1, np.int64)
        self.links[CUT] = STACKED
        self._next = blocks

    def cut(self, first: int, second: int, way: int) -> int:
        """A new cut of two parts; its number."""
        node, self._next = self._next, self._next + 1
        self.links[LEFT, node], self.links[RIGHT, node] = first, second
        self.links[CUT, node] = way
        self.links[PARENT, [first, second]] = node
        return node

    def join(self, parts: Sequence[int], way: int) -> int:
        """All parts in a row, by halves; the number of the topmost cut."""
        if len(parts) == 1:
            return parts[0]
        half = len(parts) // 2
        return self.cut(self.join(parts[:half], way), self.join(parts[half:], way), way)
