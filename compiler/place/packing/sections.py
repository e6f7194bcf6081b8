"""Layouts to start from: sections of an order along the sides of the room that is left.

+---+-----------+   A section takes the first or the last blocks that are left and one side of the
|   | 7 6 5 4 3 |   room that is left, from end to end. Its blocks either lie across, each as long
| 9 +-----------+   as the side, one behind the other (8, 9 and 1, 2), or stand along the side, as
| 8 |     2     |   high as the section (3 to 7). The last section takes all the room. Blocks that
|   |     1     |   lie across lead inwards, where a row would go there and back. A beam of partial
+---+-----------+   layouts is kept: the wires so far, and a row's wires for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from .nested import TreeMaker, rated
from .problem import Problem, SlicedLayout
from .section_search import ALONG, BOTTOM, LEFT_SIDE, TOP, Blocks, best_sections
from .tree import ABREAST, STACKED

_SECTIONS = 4
"""Most sections before the last."""
_NARROW, _WIDE = 24, 400
"""Partial layouts that are kept at every level, and at the best ones."""
_BEST, _SLACK = 6, 0.01
"""Levels that are looked at closely; those with layouts dearer by this share are left out."""


def section_layouts(
    problem: Problem, orders: Sequence[np.ndarray], best: float = np.inf
) -> list[SlicedLayout]:
    """The best layout in sections at each of the levels where one is cheap, cheapest first.

    Layouts that are a little dearer than `best` are of no use.
    """
    costs = problem.levels.costs
    found: list[SlicedLayout] = []
    for beam, share in ((_NARROW, _SLACK), (_WIDE, 0.0)):
        levels = {one.level for one in found[:_BEST]} if found else range(len(costs))
        for level, order in product(sorted(levels), orders):
            limit = best * (1 + share) - float(costs[level])
            if limit <= 0:
                continue
            made = _at_level(problem, order, level, limit, beam)
            if made is not None:
                found.append(made)
                best = min(best, made.cost)
        found.sort(key=lambda layout: layout.cost)
    return found


def _at_level(
    problem: Problem, order: np.ndarray, level: int, limit: float, beam: int
) -> SlicedLayout | None:
    """The best layout in sections at a level, with wires below a limit."""
    size = problem.columns, problem.rows
    blocks = blocks_in(problem, order, level)
    wires, made, in_y, reverse = best_sections(blocks, *size, limit, beam, _SECTIONS)
    if not np.isfinite(wires):
        return None
    maker = TreeMaker(problem.count)
    root = _tree(maker, order, made, bool(in_y), bool(reverse))
    layouts = [SlicedLayout(maker.links, root, level, narrow) for narrow in (-1.0, 1.0)]
    return min((rated(problem, one) for one in layouts), key=lambda layout: layout.cost)


def _tree(maker: TreeMaker, order: np.ndarray, made: np.ndarray, in_y: bool, reverse: bool) -> int:
    """The root of a tree of sections, and of a last row."""
    first, end, sections = 0, len(order), []
    for side, last, kind, taken, back, _ in made:
        a, b = (end - taken, end) if last else (first, first + taken)
        first, end = (first, a) if last else (b, end)
        way = ABREAST if (side & 1 == 0) == (kind == ALONG) else STACKED
        sections.append((int(side), _row(maker, order[a:b], way, bool(back))))
    root = _row(maker, order[first:end], STACKED if in_y else ABREAST, reverse)
    for side, node in reversed(sections):
        pair = (node, root) if side in (BOTTOM, LEFT_SIDE) else (root, node)
        root = maker.cut(*pair, STACKED if side in (BOTTOM, TOP) else ABREAST)
    return root


def _row(maker: TreeMaker, blocks: np.ndarray, way: int, reverse: bool) -> int:
    row = [int(block) for block in blocks]
    return maker.join(row[::-1] if reverse else row, way)


def blocks_in(problem: Problem, order: np.ndarray, level: int) -> Blocks:
    """Blocks at a level by their place in an order, for the search."""
    levels, count = problem.levels, len(order)
    number = levels.number[order, level]
    thin = levels.widths[number][:, : problem.rows + 1].astype(np.int64)
    low = levels.heights[number].astype(np.int64)
    place = np.argsort(order)
    ends = np.sort(place[problem.edges], axis=1)
    passed = np.zeros(count)
    near: list[list[tuple[int, float]]] = [[] for _ in range(count)]
    for (a, b), weight in zip(ends, problem.weights, strict=True):
        if weight <= 0:
            continue
        passed[a : b + 1] += weight
        passed[[a, b]] -= 0.5 * weight
        near[a].append((int(b), float(weight)))
        near[b].append((int(a), float(weight)))
    most = max(1, *(len(one) for one in near))
    other, pull = np.zeros((count, most), np.int64), np.zeros((count, most))
    for block, one in enumerate(near):
        for e, (to, weight) in enumerate(one):
            other[block, e], pull[block, e] = to, weight
    thin_wire, low_wire = _sums(thin * passed[:, None]), _sums(low * passed[:, None])
    area = np.append(0.0, np.cumsum(levels.at([level]).areas(0, problem.rows)[order]))
    return Blocks(thin, low, _sums(thin), _sums(low), thin_wire, low_wire, area, other, pull)


def _sums(sizes: np.ndarray) -> np.ndarray:
    """By size across: the sums over all blocks before each, and over all."""
    sums = np.zeros((sizes.shape[1], len(sizes) + 1), sizes.dtype)
    np.cumsum(sizes.T, axis=1, out=sums[:, 1:])
    return sums
