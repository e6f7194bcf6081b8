"""Curves and least areas of all kernels of an instance at a time limit, each found once."""

from __future__ import annotations

from functools import cache
from heapq import heappop, heappush

import numpy as np

from ....backend.errors import InfeasibleError
from ..packing import Levels, Problem
from .instance import Instance
from .sizing import curve


class KernelSizes:
    """Curves of an instance's kernels, each computed once."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._curves: dict[tuple[object, float], np.ndarray] = {}
        self._keys = [kernel.convolutions for kernel in instance.kernels]

    def curve(self, kernel: int, limit: float) -> np.ndarray:
        """Least heights by width of a kernel at a limit."""
        key, one = (self._keys[kernel], limit), self.instance
        if key not in self._curves:
            found = curve(one.kernels[kernel], limit, one.memory_limit, one.columns, one.rows)
            self._curves[key] = found
        return self._curves[key]

    def between(self, limits: np.ndarray) -> None:
        """Fill in curves for all limits: equal at two limits means equal between them."""
        for kernel in {key: number for number, key in enumerate(self._keys)}.values():
            self._between(kernel, limits, 0, len(limits) - 1)

    def _between(self, kernel: int, limits: np.ndarray, first: int, last: int) -> None:
        low, high = self.curve(kernel, limits[first]), self.curve(kernel, limits[last])
        if last - first < 2:
            return
        if np.array_equal(low, high):
            for limit in limits[first + 1 : last]:
                self._curves[self._keys[kernel], limit] = low
            return
        middle = (first + last) // 2
        self._between(kernel, limits, first, middle)
        self._between(kernel, limits, middle, last)

    def area(self, limit: float) -> float:
        """The least areas of all kernels together."""
        return sum(self.areas(limit))

    def areas(self, limit: float) -> list[float]:
        """The least area of each kernel; infinite where none fits."""
        width = np.arange(1, self.instance.columns + 1)
        found = []
        for kernel in range(len(self._keys)):
            heights = self.curve(kernel, limit)[1:].astype(np.float64)
            inside = heights <= self.instance.rows
            found.append(float((heights * width)[inside].min()) if inside.any() else np.inf)
        return found

    def least_wire(self, limit: float) -> float:
        """A lower bound on the weighted distances of placements whose C_time is at most `limit`."""
        one = self.instance
        sides = [
            min(int(np.argmax(self.curve(k, limit) <= one.rows)), int(self.curve(k, limit).min()))
            for k in range(len(self._keys))
        ]
        return one.wire_weight * sum(0.5 * (sides[a] + sides[b]) for a, b in one.edges if a != b)

    def least_total(self, limits: np.ndarray) -> float:
        """The least of weighted time and least distances over all of these limits.

        Between two limits nothing is below the time of the lower and the distances of the higher,
        so only stretches that could hold the least are looked into.
        """
        weight = self.instance.time_weight
        wire = cache(lambda k: self.least_wire(float(limits[k])))
        last = len(limits) - 1
        best = min(weight * limits[k] + wire(k) for k in (0, last))
        stretches = [(weight * limits[0] + wire(last), 0, last)]
        while stretches:
            least, low, high = heappop(stretches)
            if least >= best:
                break
            if high - low < 2:
                continue
            middle = (low + high) // 2
            best = min(best, weight * limits[middle] + wire(middle))
            for a, b in ((low, middle), (middle, high)):
                heappush(stretches, (weight * limits[a] + wire(b), a, b))
        return float(best)

    def problem(self, limits: np.ndarray) -> Problem:
        """What to pack with these limits as levels."""
        one = self.instance
        self.between(limits)
        curves = [[self.curve(k, limit) for k in range(len(self._keys))] for limit in limits]
        levels = Levels.of([one.time_weight * limit for limit in limits], curves, one.rows)
        edges = np.array([edge for edge in one.edges if edge[0] != edge[1]], np.int64)
        edges = edges.reshape(-1, 2)
        return Problem(
            one.columns, one.rows, levels, edges, np.full(len(edges), float(one.wire_weight))
        )


def too_large(sizes: KernelSizes, limit: float) -> InfeasibleError:
    """What is said of an instance whose least areas at a limit do not fit, or for which no packing
    was found, kernel by kernel."""
    instance = sizes.instance
    areas = sizes.areas(limit)
    tiles = instance.columns * instance.rows
    ranked = sorted(zip(areas, instance.kernels, strict=True), key=lambda pair: -pair[0])
    lines = [f"  {kernel.name} ({kernel.kind}): {_tiles(area)}" for area, kernel in ranked]
    report = "\n".join(["smallest area by kernel:", *lines])
    expected, got = f"at most {tiles:,} tiles", f"{_tiles(sum(areas))} in the smallest shapes"
    if sum(areas) <= tiles:
        expected, got = f"rectangles side by side on {tiles:,} tiles", f"none found; {got}"
    return InfeasibleError(
        f"{instance.name}: {len(areas)} kernels on {instance.columns} x {instance.rows} tiles",
        expected=expected,
        got=got,
        change="a larger wafer, fewer kernels, or a higher memlimit",
        report=lambda: report,
    )


def _tiles(area: float) -> str:
    return f"{int(area):,} tiles" if np.isfinite(area) else "no shape fits the wafer and memlimit"
