"""Layouts taken apart and cut anew: the shortest wires over all cuts of blocks in one order.

A slicing tree's blocks from left to right (any part's sides may be exchanged) are an order in
which every part is a run. Slicing layouts whose parts are runs of that order are compared at once
(`parts`, `shortest`), the given one among them. Then the order changes a little. The whole may be
cut anew, or one of its parts in the rectangle that it has, with all else where it is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .nested import TreeMaker, rated
from .parts import Parts, envelopes, parts_of
from .placed import boxes_of, fits
from .problem import Problem, SlicedLayout
from .shortest import shortest
from .tree import CUT, LEFT, PARENT, RIGHT, STACKED

_WHOLE = 40
"""Up to so many blocks the whole is cut anew; of more, one part at a time."""
_WINDOW = 20
"""Most blocks of a part that is cut anew alone."""
_PARTS_A_RUN, _PARTS, _KEPT = 60, 20_000, 8
_EXCHANGED = 0.15
_NEAR = 0.7
_MOST_MOVES = 3


@dataclass(frozen=True, eq=False)
class _Window:
    """A part of a layout: its node, blocks in order, and the parts in it: node -> blocks."""

    node: int
    order: np.ndarray
    spans: dict[int, list[int]]
    box: np.ndarray  # twice left, twice lower edge, width, height of all nodes


def refold(
    problem: Problem,
    start: SlicedLayout,
    random: np.random.Generator,
    steps: int,
    heat: float,
    level_share: float,
    until: float | None = None,
    whole: int = _WHOLE,
    window: int = _WINDOW,
) -> SlicedLayout:
    """The best layout of a walk: each step is the best of all cuts of an order near the last.

    `heat` is how much dearer a step may be at first, in units of the cost. No step begins after
    `until`, a time of `time.monotonic`. Layouts of up to `whole` blocks are cut anew at once,
    others in parts of up to `window`.
    """
    now = best = start
    last = len(problem.levels.costs) - 1
    for step in range(steps):
        if until is not None and time.monotonic() >= until:
            break
        level = now.level
        if random.random() < level_share:
            level = int(np.clip(level + random.integers(-3, 3), 0, last))
        limit = now.cost + heat * (1 - step / steps) * random.exponential() + 1e-6
        moves = int(random.integers(_MOST_MOVES + 1))
        if problem.count <= whole:
            new = refolded(problem, now, level, random, moves, limit)
        elif level != now.level:
            new = rated(problem, replace(now, level=level))
        else:
            new = part_refolded(problem, now, random, moves, limit, window)
        if new is None or new.cost > limit or not fits(problem, new):
            continue
        now = new
        if now.cost < best.cost or not fits(problem, best):
            best = now
    return best


def refolded(
    problem: Problem,
    layout: SlicedLayout,
    level: int,
    random: np.random.Generator,
    moves: int,
    limit: float = np.inf,
) -> SlicedLayout | None:
    """The best layout at a level of those near a given one; None if none fits with less cost.

    `moves` blocks change their place in the order first.
    """
    window = _window(problem, layout, layout.root, random, moves)
    price = float(problem.levels.costs[level])
    size = (problem.columns, problem.rows)
    none = np.zeros((0, 3), np.int64), np.zeros(0)
    found = _folded(problem, layout, window, level, size, limit - price, none, random)
    if found is None:
        return None
    maker = TreeMaker(problem.count)
    root = found.into(maker, window.order)
    return rated(problem, SlicedLayout(maker.links, root, level))


def part_refolded(
    problem: Problem,
    layout: SlicedLayout,
    random: np.random.Generator,
    moves: int,
    limit: float,
    most: int = _WINDOW,
) -> SlicedLayout | None:
    """The layout with a part of at most so many blocks cut anew; None if dearer than the limit.

    What the part's blocks are joined to outside stays where it is meanwhile.
    """
    node = _some_part(layout, random, most)
    if node < 0:
        return None
    window = _window(problem, layout, node, random, moves)
    x, y, width, height = (int(v) for v in window.box[:, node])
    place = {int(block): number for number, block in enumerate(window.order)}
    pins, pulls = [], []
    for (a, b), weight in zip(problem.edges, problem.weights, strict=True):
        if (int(a) in place) == (int(b) in place):
            continue
        inside, outside = (int(a), b) if int(a) in place else (int(b), a)
        left, low, wide, high = window.box[:, outside]
        pins.append((place[inside], left + wide - x, low + high - y))
        pulls.append(weight)
    fixed = np.array(pins, np.int64).reshape(-1, 3), np.array(pulls, np.float64)
    found = _folded(problem, layout, window, layout.level, (width, height), np.inf, fixed, random)
    if found is None:
        return None
    maker = _Graft(layout, window)
    new = found.into(maker, window.order)
    root = maker.hang(new)
    made = rated(problem, SlicedLayout(maker.links, root, layout.level, layout.narrow))
    return made if made.cost <= limit else None


def _some_part(layout: SlicedLayout, random: np.random.Generator, most: int) -> int:
    """A random cut with few enough blocks below it; -1 if there is none."""
    links, blocks = layout.links, layout.links.shape[1] // 2 + 1
    node = int(random.integers(blocks))
    size, chain = 1, []
    while links[PARENT, node] >= 0:
        node = int(links[PARENT, node])
        size = len(_blocks_below(links, blocks, node))
        if size > most:
            break
        if size >= 3:
            chain.append(node)
    return chain[int(len(chain) * random.random() ** 0.5)] if chain else -1


def _blocks_below(links: np.ndarray, blocks: int, node: int) -> list[int]:
    if node < blocks:
        return [node]
    sides = (int(links[LEFT, node]), int(links[RIGHT, node]))
    return [block for side in sides for block in _blocks_below(links, blocks, side)]


def _window(
    problem: Problem,
    layout: SlicedLayout,
    top: int,
    random: np.random.Generator,
    moves: int,
) -> _Window:
    """The part below a node: blocks from left to right, some sides exchanged, some blocks moved."""
    links, blocks = layout.links, problem.count
    spans: dict[int, list[int]] = {}

    def visit(node: int) -> list[int]:
        if node < blocks:
            return [node]
        sides = [visit(int(links[LEFT, node])), visit(int(links[RIGHT, node]))]
        spans[node] = sides[0] + sides[1]
        if random.random() < _EXCHANGED:
            sides.reverse()
        return sides[0] + sides[1]

    order = _moved(problem, visit(top), moves, random)
    return _Window(top, order, spans, boxes_of(problem, layout))


def _moved(
    problem: Problem, blocks: Sequence[int], moves: int, random: np.random.Generator
) -> np.ndarray:
    """The order with some blocks elsewhere, mostly beside one that they are joined to."""
    order = list(blocks)
    joined, joins = problem.joined
    for _ in range(moves):
        block = order.pop(int(random.integers(len(order))))
        near = int(random.integers(len(order) + 1))
        if random.random() < _NEAR and joins[block]:
            other = int(joined[block, random.integers(joins[block])])
            if other in order:
                near = order.index(other) + int(random.integers(-1, 3))
        order.insert(min(max(near, 0), len(order)), block)
    return np.array(order)


@dataclass(frozen=True, eq=False)
class _Fold:
    """The best layout of a window: parts and how their layouts are made."""

    parts: Parts
    made: np.ndarray

    def into(self, maker: TreeMaker, order: np.ndarray) -> int:
        """The node of the best layout."""
        turned = int(self.made[0, 0, 3]) >> 3 if len(order) > 1 else 0
        return self._node(maker, order, 0, 0, (bool(turned & 1), bool(turned & 2)))

    def _node(
        self, maker: TreeMaker, order: np.ndarray, part: int, n: int, flips: tuple[bool, bool]
    ) -> int:
        i = int(self.parts.first[part])
        if i == self.parts.last[part]:
            return int(order[i])
        cut, x, y, mirrored = (int(v) for v in self.made[part, n])
        a, b, _, way, _ = (int(v) for v in self.parts.cuts[cut])
        along = 1 if way == STACKED else 0
        one, two = list(flips), list(flips)
        one[along] ^= bool(mirrored & 1)
        two[along] ^= bool(mirrored & 4)
        two[1 - along] ^= bool(mirrored & 2)
        lower = self._node(maker, order, a, x, (one[0], one[1]))
        upper = self._node(maker, order, b, y, (two[0], two[1]))
        return maker.cut(upper, lower, way) if flips[along] else maker.cut(lower, upper, way)


class _Graft(TreeMaker):
    """Makes a part's cuts again in a layout's links, of which they take the old numbers."""

    def __init__(self, layout: SlicedLayout, window: _Window) -> None:
        self.links = layout.links.copy()
        self._free = list(window.spans)
        self._root, self._above = layout.root, int(layout.links[PARENT, window.node])
        self._left = self._above >= 0 and self.links[LEFT, self._above] == window.node

    def cut(self, first: int, second: int, way: int) -> int:
        """A new cut of two parts; its number."""
        node = self._free.pop()
        self.links[LEFT, node], self.links[RIGHT, node] = first, second
        self.links[CUT, node] = way
        self.links[PARENT, [first, second]] = node
        return node

    def hang(self, new: int) -> int:
        """Put the part where the old one was; the root."""
        self.links[PARENT, new] = self._above
        if self._above < 0:
            return new
        self.links[LEFT if self._left else RIGHT, self._above] = new
        return self._root


def _folded(
    problem: Problem,
    layout: SlicedLayout,
    window: _Window,
    level: int,
    size: tuple[int, int],
    limit: float,
    pins: tuple[np.ndarray, np.ndarray],
    random: np.random.Generator,
) -> _Fold | None:
    """The best cuts of a window's order in a rectangle, with wires below a limit."""
    order = window.order
    given = _given(layout, window)
    row = _rows(len(order))
    number = problem.levels.number[order, level]
    heights, widths = problem.levels.heights[number], problem.levels.widths[number]
    low, thin = envelopes(heights, widths, row)
    if low[row[0, -1], size[0]] > size[1]:
        return None
    parts = parts_of(
        low, thin, row, *size, given, _PARTS_A_RUN, _PARTS, int(random.integers(1 << 31))
    )
    place = np.full(problem.count, -1, np.int64)
    place[order] = np.arange(len(order))
    edges = place[problem.edges]
    inside = (edges >= 0).all(axis=1)
    shorter = np.array(
        [min(int(np.argmax(one <= problem.rows)), int(one.min())) for one in heights]
    )
    found, _, made = shortest(
        parts, edges[inside], problem.weights[inside], shorter, _KEPT, limit, *pins
    )
    return _Fold(parts, made) if found[0] else None


def _given(layout: SlicedLayout, window: _Window) -> np.ndarray:
    """The layout's cuts for runs of the order: last block of the lower run, way and size."""
    count, links, blocks = len(window.order), layout.links, layout.links.shape[1] // 2 + 1
    given = np.full((count, count, 3), -1, np.int64)
    place = {int(block): number for number, block in enumerate(window.order)}
    for node, below in window.spans.items():
        if node == window.node and len(below) != count:
            continue
        sides = []
        for side in (LEFT, RIGHT):
            part = int(links[side, node])
            own = [place[block] for block in (window.spans[part] if part >= blocks else [part])]
            if max(own) - min(own) + 1 != len(own):
                break
            sides.append((min(own), max(own), part))
        if len(sides) < 2:
            continue
        (i, k, lower), (other, j, _) = sorted(sides)
        if other == k + 1:
            way = int(links[CUT, node])
            given[i, j] = k, way, window.box[3 if way == STACKED else 2, lower]
    return given


def _rows(count: int) -> np.ndarray:
    """A number for every run."""
    row, used = np.full((count, count), -1, np.int64), np.triu(np.ones((count, count), bool))
    row[used] = np.arange(used.sum())
    return row
