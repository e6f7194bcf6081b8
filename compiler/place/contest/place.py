"""Placing an instance: a ladder of time limits, layouts to start from, and the search.

bounds --> time limits worth trying --> rows and nested runs at each --> annealing on a ladder
of some limits --> annealing on all limits near the best --> arguments for the rectangles
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from ..packing import BestLayout, Block, Budget, Problem, SlicedLayout, search
from ..packing.nested import rated
from ..packing.settle import settled
from .arguments import Arguments, exact_options, options, time_of, with_few_adapters
from .grow import grown
from .instance import Instance
from .ladder import changes_near, thinned, time_range, worth_trying
from .sizes import KernelSizes, too_large
from .starts import orders, starts_of

_LADDER = 96
_FIRST_PART = 0.4


@dataclass(frozen=True)
class Bounds:
    """What no placement is below: `time` by area alone, `total` by the shorter sides as well."""

    time: float
    total: float


@dataclass(frozen=True, eq=False)
class Solution:
    """Rectangles, arguments and whether they lie rotated, one for each kernel."""

    blocks: tuple[Block, ...]
    arguments: tuple[tuple[Arguments, bool], ...]
    rounds: int


def place_instance(
    instance: Instance, seconds: float | None = None, rounds: int | None = None, seed: int = 0
) -> Solution:
    """The best placement found in `seconds`, or in `rounds` of the search.

    With a limit in rounds alone the result depends on the instance and the seed only.
    Raises InfeasibleError if the least areas do not fit the wafer, or if nothing was found.
    """
    began = time.monotonic()
    sizes = KernelSizes(instance)
    low, high = time_range(sizes)
    limits = thinned(worth_trying(sizes, low, high), _LADDER)
    problem = sizes.problem(limits)
    starts = starts_of(problem, orders(instance))
    steps = int(np.clip(2_400_000 / problem.count, 20_000, 150_000))
    first = Budget(_part(rounds, _FIRST_PART), _until(began, seconds, _FIRST_PART), steps)
    found = search(problem, starts, first, seed)
    if found is not None:
        near = changes_near(sizes, limits, found.layout.level, 2 * _LADDER)
        problem, moved = _carried(sizes, near, limits, [found.layout, *starts])
        rest = None if rounds is None else max(1, rounds - found.rounds)
        budget = Budget(rest, _until(began, seconds, 1.0), steps)
        again = search(problem, moved, budget, seed + 1)
        found, limits = (
            (again, near) if again is not None and again.cost <= found.cost else (found, limits)
        )
    if found is None:
        raise too_large(sizes, limits[-1])
    return _solution(instance, problem, found, float(limits[found.layout.level]))


def bounds(instance: Instance) -> Bounds:
    """Lower bounds on C_time and C_total.

    Two rectangles that do not overlap are at least half the sum of their shorter sides apart.
    """
    sizes = KernelSizes(instance)
    low, high = time_range(sizes)
    limits = worth_trying(sizes, low, high)
    return Bounds(low, sizes.least_total(limits))


def _part(rounds: int | None, share: float) -> int | None:
    return None if rounds is None else max(1, int(rounds * share))


def _until(began: float, seconds: float | None, share: float) -> float | None:
    return None if seconds is None else began + share * seconds


def _carried(
    sizes: KernelSizes, near: np.ndarray, limits: np.ndarray, layouts: Sequence[SlicedLayout]
) -> tuple[Problem, list[SlicedLayout]]:
    """The layouts at the nearest of other limits."""
    problem = sizes.problem(near)
    moved = []
    for layout in layouts:
        level = int(np.searchsorted(near, limits[layout.level], side="right")) - 1
        moved.append(rated(problem, replace(layout, level=max(0, level))))
    return problem, moved


def _solution(instance: Instance, problem: Problem, found: BestLayout, limit: float) -> Solution:
    """Arguments for the blocks; C_time is the least that the rectangles allow together."""

    @cache
    def exact(number: int, width: int, height: int) -> list[tuple[Arguments, bool]]:
        memory = instance.memory_limit
        return exact_options(instance.kernels[number], limit, memory, width, height)

    blocks = grown(problem, found.blocks, lambda *size: bool(exact(*size)))
    blocks = settled(problem, blocks)
    choices = [
        exact(number, block.width, block.height)
        or options(kernel, limit, instance.memory_limit, block.width, block.height)
        for number, (kernel, block) in enumerate(zip(instance.kernels, blocks, strict=True))
    ]
    slowest = max(
        min(time_of(kernel, one) for one, _ in made)
        for kernel, made in zip(instance.kernels, choices, strict=True)
    )
    quick = [
        [(one, turned) for one, turned in made if time_of(kernel, one) <= slowest]
        for kernel, made in zip(instance.kernels, choices, strict=True)
    ]
    return Solution(blocks, tuple(with_few_adapters(instance, quick)), found.rounds)
