"""Stages off the strips: each wafer's stages packed anew in shapes of any mix, wires shortened.

before: strips of full height, stages one below the other     after: a slicing tree of the wafer

Every stage keeps its wafer and takes any of its choices of at most the interval. A short walk, or
the search of `packing` for as long as is wanted, starts from the strips, so what it finds is no
longer than they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import networkx as nx
import numpy as np

from ..mapping.choices import PlacedStage, Placement, StageKernel
from ..plan.stage_record import Rectangle
from .packing import Block, Budget, Levels, Problem, SlicedLayout, search, shorten
from .packing.curves import curve_of
from .packing.nested import TreeMaker, rated
from .packing.tree import ABREAST, STACKED
from .strips import StripShapes, shape_within

_STEPS = 10_000
_Finder = Callable[[Problem, SlicedLayout], Sequence[Block] | None]


def freed(
    placement: Placement,
    kernels: Sequence[StageKernel],
    shapes: Sequence[StripShapes],
    dag: nx.DiGraph,
    seconds: float,
    rounds: int | None = None,
) -> Placement:
    """The placement with each wafer's stages packed anew; `shapes` are those to choose from.

    `placement` is in strips. The wafers share out the seconds by their stages; a wafer's search
    may end earlier, after so many `rounds`.
    """
    began, done, count = time.monotonic(), 0, len(_one_of_each(placement, kernels))

    def find(problem: Problem, start: SlicedLayout) -> Sequence[Block] | None:
        nonlocal done
        done += problem.count
        until = began + seconds * done / count
        found = search(problem, [start], Budget(rounds, until, _STEPS))
        return None if found is None else found.blocks

    return _anew(placement, kernels, shapes, dag, find)


def shortened(
    placement: Placement,
    kernels: Sequence[StageKernel],
    shapes: Sequence[StripShapes],
    dag: nx.DiGraph,
) -> Placement:
    """The placement in strips after a short walk on each wafer; the same on any machine."""
    return _anew(placement, kernels, shapes, dag, shorten)


def _anew(
    placement: Placement,
    kernels: Sequence[StageKernel],
    shapes: Sequence[StripShapes],
    dag: nx.DiGraph,
    find: _Finder,
) -> Placement:
    moved: list[PlacedStage] = []
    for _, group in groupby(_one_of_each(placement, kernels), key=lambda one: one.region.wafer):
        moved += _packed(placement, list(group), kernels, shapes, dag, find)
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
    shapes: Sequence[StripShapes],
    dag: nx.DiGraph,
    find: _Finder,
) -> list[PlacedStage]:
    """One wafer's stages in the best layout found, as they are if there is none."""
    index = {kernel.stage: number for number, kernel in enumerate(kernels)}
    own = [shapes[index[placed.stage]] for placed in stages]
    problem = _problem(placement, stages, own, dag)
    found = find(problem, rated(problem, _in_strips(stages)))
    if found is None:
        regions = {one.region for one in stages}
        return [one for one in placement.placed if one.region in regions]
    return [
        placed
        for one, shape, block in zip(stages, own, found, strict=True)
        for placed in _placed(one, kernels[index[one.stage]], shape, block)
    ]


def _problem(
    placement: Placement, stages: Sequence[PlacedStage], own: Sequence[StripShapes], dag: nx.DiGraph
) -> Problem:
    target = placement.target
    curves = {id(shape): curve_of(shape.widths, shape.heights, target.columns) for shape in own}
    by_region = placement.by_region
    users = enumerate(by_region[placed.region] for placed in stages)
    place = {one.stage: number for number, own in users for one in own}
    ends = [(place[a], place[b]) for a, b in dag.edges if a in place and b in place]
    edges = [(a, b) for a, b in ends if a != b]
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    price = 10.0 * (target.rows + target.columns)  # temperatures are shares of it
    levels = Levels.of([price], [[curves[id(shape)] for shape in own]], target.rows)
    return Problem(target.columns, target.rows, levels, pairs, np.ones(len(pairs)))


def _in_strips(stages: Sequence[PlacedStage]) -> SlicedLayout:
    """The tree of a placement in strips, of rows, of stages abreast."""
    maker = TreeMaker(len(stages))
    rectangles = {number: placed.region for number, placed in enumerate(stages)}
    return SlicedLayout(maker.links, _sliced(maker, rectangles, ABREAST), 0)


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
