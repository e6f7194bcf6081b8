"""What is packed: blocks with a curve for every time limit, edges, and the price of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .curves import NONE, invert

ROOM = 1.2
"""Packings up to this many times the wafer's rows are looked at on the way to one that fits."""


@dataclass(frozen=True, eq=False)
class Levels:
    """The curves of all blocks at increasing time limits.

    `heights[number[block, level]]` is the least height by width, 0 to the columns; blocks and
    levels with equal curves share one. `costs` is the price of each level.
    """

    costs: np.ndarray
    number: np.ndarray
    heights: np.ndarray
    widths: np.ndarray

    @staticmethod
    def of(costs: Sequence[float], curves: Sequence[Sequence[np.ndarray]], rows: int) -> Levels:
        """From `curves[level][block]`, each the least height by width; `rows` of the wafer."""
        most, kept, number = int(rows * ROOM), {}, np.zeros((len(curves[0]), len(curves)), np.int64)
        heights, widths = [], []
        for level, row in enumerate(curves):
            for block, curve in enumerate(row):
                key = curve.tobytes()
                if key not in kept:
                    kept[key] = len(heights)
                    turned = np.full(most + 1, NONE, np.int16)
                    invert(np.minimum(curve, NONE), turned)
                    heights.append(np.where(curve <= most, curve, NONE).astype(np.int16))
                    widths.append(turned)
                number[block, level] = kept[key]
        return Levels(np.array(costs, np.float64), number, np.array(heights), np.array(widths))

    def at(self, levels: Sequence[int]) -> Levels:
        """Only these levels."""
        return Levels(self.costs[levels], self.number[:, levels], self.heights, self.widths)

    def least_area(self, level: int, rows: int) -> float:
        """The blocks' least areas together, in tiles; infinite if a block does not fit."""
        return float(self.areas(level, rows).sum())

    def areas(self, level: int, rows: int) -> np.ndarray:
        """The least area of every block, in tiles."""
        curves = self.heights[self.number[:, level]].astype(np.float64)
        area = np.where(curves <= rows, curves * np.arange(curves.shape[1]), np.inf)
        return area[:, 1:].min(axis=1)


@dataclass(frozen=True)
class Block:
    """Where a block lies: lower left corner, width, height, in tiles."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Problem:
    """A wafer of `columns` x `rows`, `levels` of curves, and weighted edges between blocks."""

    columns: int
    rows: int
    levels: Levels
    edges: np.ndarray
    weights: np.ndarray

    @property
    def count(self) -> int:
        """Blocks to lay."""
        return self.levels.number.shape[0]

    @cached_property
    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Blocks that each block shares an edge with, in rows of equal length; how many count."""
        near: list[list[int]] = [[] for _ in range(self.count)]
        for a, b in self.edges:
            near[a].append(int(b))
            near[b].append(int(a))
        counts = np.array([len(one) for one in near], np.int64)
        table = np.zeros((self.count, max(1, counts.max(initial=0))), np.int64)
        for block, one in enumerate(near):
            table[block, : len(one)] = one
        return table, counts


@dataclass(frozen=True, eq=False)
class SlicedLayout:
    """A slicing tree at a level; `narrow` of -1 uses the wafer's width, 0 to 1 less and less."""

    links: np.ndarray
    root: int
    level: int
    narrow: float = -1.0
    cost: float = np.inf
