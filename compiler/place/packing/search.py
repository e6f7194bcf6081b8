"""Many annealings from many starts on all cores; any time, and the same for the same budget.

A round is a fixed number of runs, each with a seed of its own, dealt to the threads; what they
found is put together in the order of their numbers. So a limit in rounds gives the same layout on
any machine, and a limit in seconds is looked at between rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from ....backend.cores import usable_cores
from .anneal import anneal
from .placed import blocks_of, fits
from .problem import Block, Problem, SlicedLayout
from .refold import refold
from .settle import settled, wire_of

_RUNS_A_ROUND = 8
_KEPT = 12
_SETTLED = 6
_HOTTEST, _COLDEST, _SPAN = 8e-3, 5e-5, 60.0
_FRESH = 0.3
_REFOLDS, _LEVEL_SHARE = 0.6, 0.3
_STEPS_A_FOLD, _MOST_FOLDS = 1_500, 80
"""A fold takes about as long as so many steps of annealing."""
_COOLEST, _WARMEST = 0.01, 0.2
"""Heat of refolding, in shares of a layout's wires."""


@dataclass(frozen=True, eq=False)
class BestLayout:
    """The best layout, its blocks and its cost; `rounds` that it took."""

    layout: SlicedLayout
    blocks: tuple[Block, ...]
    cost: float
    rounds: int


@dataclass(frozen=True)
class Budget:
    """When to stop: after so many rounds, or at a time of `time.monotonic`, what comes first."""

    rounds: int | None = None
    until: float | None = None
    steps: int = 200_000

    def spent(self, rounds: int) -> bool:
        """Whether no further round may begin."""
        out_of_time = self.until is not None and time.monotonic() >= self.until
        return out_of_time or (self.rounds is not None and rounds >= self.rounds)


def search(
    problem: Problem,
    starts: Sequence[SlicedLayout],
    budget: Budget,
    seed: int = 0,
    share: float = 0.01,
    report: Callable[[float], None] | None = None,
) -> BestLayout | None:
    """The best layout that fits, or None if none was found; `starts` need not fit.

    Each run starts from one of the best layouts so far, or from a start, at a temperature drawn
    between hot and cold: hot runs leave a layout's surroundings, cold ones finish it.
    """
    pool: list[SlicedLayout] = [start for start in starts if fits(problem, start)]
    fresh = sorted(starts, key=lambda start: start.cost)
    random = np.random.default_rng(seed)
    rounds = 0
    with ThreadPoolExecutor(usable_cores()) as threads:
        while not budget.spent(rounds):
            runs = [
                _run(problem, _pick(random, pool, fresh), random, budget, share)
                for _ in range(_RUNS_A_ROUND)
            ]
            done = list(threads.map(lambda run: run(), runs))
            pool = _best([*pool, *(one for one in done if np.isfinite(one.cost))])
            rounds += 1
            if report is not None and pool:
                report(pool[0].cost)
    ends = [_settled(problem, layout, rounds) for layout in _best(pool)[:_SETTLED]]
    return min(ends, key=lambda found: found.cost, default=None)


def _settled(problem: Problem, layout: SlicedLayout, rounds: int) -> BestLayout:
    blocks = settled(problem, blocks_of(problem, layout))
    cost = float(problem.levels.costs[layout.level]) + wire_of(problem, blocks)
    return BestLayout(layout, blocks, cost, rounds)


def _pick(
    random: np.random.Generator, pool: list[SlicedLayout], fresh: list[SlicedLayout]
) -> SlicedLayout:
    """One of the best, the better the likelier; now and then any of the starts."""
    if not pool or (fresh and random.random() < _FRESH):
        return fresh[int(len(fresh) * random.random())]
    return pool[int(len(pool) * random.random() ** 2)]


def _run(
    problem: Problem, start: SlicedLayout, random: np.random.Generator, budget: Budget, share: float
) -> Callable[[], SlicedLayout]:
    if random.random() < _REFOLDS and problem.count > 1:
        return _refolding(problem, start, random, budget)
    hot = np.exp(random.uniform(np.log(_COLDEST), np.log(_HOTTEST)))
    seed, steps = int(random.integers(1 << 31)), int(budget.steps * random.choice((0.5, 1, 2)))
    levels, (joined, joins) = problem.levels, problem.joined
    scale = float(levels.costs[start.level]) or _cost_of(start)

    def run() -> SlicedLayout:
        cost, links, root, level, narrow = anneal(
            seed, steps, hot * scale, hot * scale / _SPAN, share, start.links, start.root,
            start.level, start.narrow, problem.rows, levels.costs, levels.number, levels.heights,
            levels.widths, problem.edges, problem.weights, joined, joins,
        )  # fmt: skip
        return SlicedLayout(links, int(root), int(level), float(narrow), float(cost))

    return run


def _cost_of(start: SlicedLayout) -> float:
    """What temperatures are shares of where levels cost nothing; one where wires do neither."""
    return start.cost if 0 < start.cost < np.inf else 1.0


def _refolding(
    problem: Problem, start: SlicedLayout, random: np.random.Generator, budget: Budget
) -> Callable[[], SlicedLayout]:
    share = np.exp(random.uniform(np.log(_COOLEST), np.log(_WARMEST)))
    heat = share * max(0.0, start.cost - float(problem.levels.costs[start.level]))
    folds = min(max(4, budget.steps // _STEPS_A_FOLD), _MOST_FOLDS)
    own = np.random.default_rng(int(random.integers(1 << 31)))

    def run() -> SlicedLayout:
        found = refold(problem, start, own, folds, heat, _LEVEL_SHARE, budget.until)
        return found if fits(problem, found) else replace(found, cost=np.inf)

    return run


def _best(layouts: Sequence[SlicedLayout]) -> list[SlicedLayout]:
    """The cheapest layouts, one of each cost."""
    kept: dict[float, SlicedLayout] = {}
    for layout in sorted(layouts, key=lambda layout: layout.cost):
        kept.setdefault(round(layout.cost, 6), layout)
    return list(kept.values())[:_KEPT]
