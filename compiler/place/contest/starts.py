"""Layouts to start from: orders that the edges follow, in rows, in one, and in nested runs."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx
import numpy as np

from ..packing import Problem, SlicedLayout
from ..packing.nested import TreeMaker, nested_layout, rated
from ..packing.placed import fits
from ..packing.rows import row_layouts
from ..packing.sections import section_layouts
from ..packing.tree import ABREAST
from .instance import Instance

_STARTS = 24
_MOST_NESTED = 48


def orders(instance: Instance) -> list[np.ndarray]:
    """Orders of the kernels that their edges follow."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(instance.kernels)))
    graph.add_edges_from(edge for edge in instance.edges if edge[0] != edge[1])
    if not nx.is_directed_acyclic_graph(graph):
        return [np.arange(len(instance.kernels))]
    breadth = list(nx.lexicographical_topological_sort(graph))
    backward = list(nx.lexicographical_topological_sort(graph.reverse(), key=lambda k: -k))[::-1]
    unique = {tuple(order): np.array(order) for order in (breadth, backward)}
    return list(unique.values())


def starts_of(problem: Problem, orders: Sequence[np.ndarray]) -> list[SlicedLayout]:
    """The cheapest layouts in rows, all abreast, and in nested runs over all levels.

    Nested runs that fit are kept at any cost: their wires are long and their time is the least.
    Where no layout is narrow enough for the wafer, all abreast is what a search begins with.
    """
    found: list[SlicedLayout] = []
    tight: list[SlicedLayout] = []
    last = len(problem.levels.costs) - 1
    for order in orders:
        for level in range(0, last + 1, max(1, last // (32 if problem.count <= 40 else 12))):
            found += row_layouts(problem, order, level)
        if problem.count <= _MOST_NESTED:
            tight += [one for one in _nested(problem, order, last) if fits(problem, one)]
        abreast = (_abreast(problem, order, level) for level in range(last + 1))
        found += [one for one in abreast if np.isfinite(one.cost)]
    best = min((one.cost for one in (*found, *tight) if fits(problem, one)), default=np.inf)
    found += section_layouts(problem, orders, best)
    if not found:
        return [_abreast(problem, order, last) for order in orders]
    distinct = {(round(one.cost, 6), one.level): one for one in found}
    found = sorted(distinct.values(), key=lambda layout: layout.cost)
    good = [layout for layout in found if fits(problem, layout)][: _STARTS // 2]
    return [*good, *[one for one in found if one not in good][: _STARTS - len(good)], *tight]


def _abreast(problem: Problem, order: np.ndarray, level: int) -> SlicedLayout:
    """All blocks side by side, as narrow as the wafer's rows allow: the shortest wires of all."""
    maker = TreeMaker(problem.count)
    root = maker.join([int(block) for block in order], ABREAST)
    return rated(problem, SlicedLayout(maker.links, root, level, 1.0))


def _nested(problem: Problem, order: np.ndarray, last: int) -> list[SlicedLayout]:
    """Nested layouts at the least level at which one fits, and just above and below."""
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        layout = nested_layout(problem, order, middle)
        if layout is not None and fits(problem, layout):
            high = middle
        else:
            low = middle + 1
    tried = {min(max(low + step, 0), last) for step in (-2, -1, 0, 1, 2, 4, 8)}
    made = [nested_layout(problem, order, level) for level in sorted(tried)]
    return [layout for layout in made if layout is not None]
