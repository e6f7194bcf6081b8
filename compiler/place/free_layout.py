"""Stages off the strips: each wafer's stages packed anew in shapes of any mix, wires shortened.

before: strips of full height, stages one below the other     after: a slicing tree of the wafer

Every stage keeps its wafer and takes any of its choices of at most the interval. A short walk, or
the search of `packing` for as long as is wanted, starts from the strips, so what it finds is no
longer than they are. On one wafer the search also looks for a shorter interval, which counts for
more than any wires.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import networkx as nx
import numpy as np

from ..mapping.choices import PlacedStage, Placement, StageKernel
from ..plan.stage_record import Rectangle
from .packing import Block, Budget, Levels, Problem, SlicedLayout, search, shorten
from .packing.curves import curve_of
from .packing.nested import TreeMaker, rated
from .packing.tree import ABREAST, STACKED
from .route import wire_length
from .strips import StripShapes, shape_within

_STEPS = 10_000
_WIRES = 100.0
"""An interval's price, in wires of the strips: a shorter one is worth more than any wires."""


class Offer(NamedTuple):
    """Shapes of all stages that take no longer than an interval."""

    interval: int
    shapes: Sequence[StripShapes]


Offers = Sequence[Offer]
"""From short intervals to that of the strips, which comes last."""
_Finder = Callable[[Problem, SlicedLayout], tuple[Sequence[Block], int] | None]


def freed(
    placement: Placement,
    kernels: Sequence[StageKernel],
    offers: Offers,
    dag: nx.DiGraph,
    seconds: float,
    rounds: int | None = None,
) -> Placement:
    """The placement with each wafer's stages packed anew, of shapes that are on offer: of several
    wafers in those of the last offer.

    `placement` is in strips. The wafers share out the seconds by their stages; a wafer's search
    may end earlier, after so many `rounds`.
    """
    began, done, count = time.monotonic(), 0, len(_one_of_each(placement, kernels))

    def find(problem: Problem, start: SlicedLayout) -> tuple[Sequence[Block], int] | None:
        nonlocal done
        done += problem.count
        until = began + seconds * done / count
        found = search(problem, [start], Budget(rounds, until, _STEPS))
        return None if found is None else (found.blocks, found.layout.level)

    wafers = {one.region.wafer for one in placement.placed}
    return _anew(placement, kernels, offers if len(wafers) == 1 else offers[-1:], dag, find)


def shortened(
    placement: Placement,
    kernels: Sequence[StageKernel],
    shapes: Offer,
    dag: nx.DiGraph,
) -> Placement:
    """The placement in strips after a short walk on each wafer; the same on any machine."""

    def find(problem: Problem, start: SlicedLayout) -> tuple[Sequence[Block], int] | None:
        blocks = shorten(problem, start)
        return None if blocks is None else (blocks, start.level)

    return _anew(placement, kernels, [shapes], dag, find)


def _anew(
    placement: Placement,
    kernels: Sequence[StageKernel],
    offers: Offers,
    dag: nx.DiGraph,
    find: _Finder,
) -> Placement:
    moved: list[PlacedStage] = []
    for _, group in groupby(_one_of_each(placement, kernels), key=lambda one: one.region.wafer):
        moved += _packed(placement, list(group), kernels, offers, dag, find)
    return replace(placement, placed=tuple(sorted(moved, key=lambda one: one.stage)))


def _one_of_each(placement: Placement, kernels: Sequence[StageKernel]) -> list[PlacedStage]:
    """The stages but for guests on another one's region, wafer by wafer."""
    hosts = {kernel.stage for kernel in kernels}
    own = [placed for placed in placement.placed if placed.stage in hosts]
    return sorted(own, key=lambda placed: placed.region.wafer)


def _packed(
    placement: Placement,
    stages: Sequence[PlacedStage],
    kernels: Sequence[StageKernel],
    offers: Offers,
    dag: nx.DiGraph,
    find: _Finder,
) -> list[PlacedStage]:
    """One wafer's stages in the best layout found, as they are if there is none."""
    index = {kernel.stage: number for number, kernel in enumerate(kernels)}
    numbers = [index[placed.stage] for placed in stages]
    own = [Offer(one.interval, [one.shapes[number] for number in numbers]) for one in offers]
    problem = _problem(placement, stages, own, dag)
    found = find(problem, rated(problem, _in_strips(stages, len(own) - 1)))
    if found is None:
        regions = {one.region for one in stages}
        return [one for one in placement.placed if one.region in regions]
    blocks, level = found
    return [
        placed
        for one, shape, block in zip(stages, own[level].shapes, blocks, strict=True)
        for placed in _placed(one, kernels[index[one.stage]], shape, block)
    ]


def _problem(
    placement: Placement, stages: Sequence[PlacedStage], own: Offers, dag: nx.DiGraph
) -> Problem:
    target = placement.target
    shapes = {id(shape): shape for offer in own for shape in offer.shapes}
    curves = {
        key: curve_of(shape.widths, shape.heights, target.columns) for key, shape in shapes.items()
    }
    by_region = placement.by_region
    users = enumerate(by_region[placed.region] for placed in stages)
    place = {one.stage: number for number, own in users for one in own}
    ends = [(place[a], place[b]) for a, b in dag.edges if a in place and b in place]
    edges = [(a, b) for a, b in ends if a != b]
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    level_curves = [[curves[id(shape)] for shape in offer.shapes] for offer in own]
    levels = Levels.of(_prices(placement, own, dag), level_curves, target.rows)
    return Problem(target.columns, target.rows, levels, pairs, np.ones(len(pairs)))


def _prices(placement: Placement, own: Offers, dag: nx.DiGraph) -> list[float]:
    """Of each offer. Temperatures are shares of it: that of one alone is of the wafer's size."""
    target = placement.target
    if len(own) == 1:
        return [10.0 * (target.rows + target.columns)]
    whole = _WIRES * max(wire_length(placement, dag), 1)
    return [whole * offer.interval / own[-1].interval for offer in own]


def _in_strips(stages: Sequence[PlacedStage], level: int) -> SlicedLayout:
    """The tree of a placement in strips, of rows, of stages abreast."""
    maker = TreeMaker(len(stages))
    rectangles = {number: placed.region for number, placed in enumerate(stages)}
    return SlicedLayout(maker.links, _sliced(maker, rectangles, ABREAST), level)


def _sliced(maker: TreeMaker, rectangles: Mapping[int, Rectangle], cut: int) -> int:
    """The node of rectangles, cut apart this way where they can be, then the other way."""
    if len(rectangles) == 1:
        return next(iter(rectangles))
    parts: list[dict[int, Rectangle]] = []
    end = 0
    for number, one in sorted(rectangles.items(), key=lambda entry: _extent(entry[1], cut)):
        start, stop = _extent(one, cut)
        if not parts or start >= end:
            parts.append({})
        parts[-1][number] = one
        end = max(end, stop)
    return maker.join([_sliced(maker, part, STACKED + ABREAST - cut) for part in parts], cut)


def _extent(one: Rectangle, cut: int) -> tuple[int, int]:
    """First row or column of a rectangle, and the one after its last."""
    if cut == STACKED:
        return one.row, one.row + one.height
    return one.column, one.column + one.width


def _placed(
    one: PlacedStage, kernel: StageKernel, shapes: StripShapes, block: Block
) -> Iterator[PlacedStage]:
    shape = shape_within(shapes, block.height, block.width)
    region = Rectangle(block.y, block.x, shape.height, shape.width, one.region.wafer)
    return kernel.placed(shape.choice, region)
