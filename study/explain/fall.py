"""What more PEs would do for a stage, and which term stops its cycles from falling.

Terms are found by pricing the same tiling on machines without one kind of overhead, so they follow
whatever mapping it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...compiler.kernels.stage import StageTable
from ...compiler.mapping.pricing import Pricing
from ...compiler.plan.causes import EXCHANGE, IMBALANCE, LOOP, ROUTING, START, WORK
from ...compiler.plan.program import Stage
from ...compiler.plan.stage_record import StageRecord, Tiling
from ...compiler.targets.target import Target

_FEWER, _MORE = (0.25, 0.5), (1, 2, 4, 8, 16)
_BEYOND = 4
"""Rows and columns of a machine without the wafer's limit, in wafers."""


@dataclass(frozen=True)
class FallStep:
    """A stage on at most `most_pes` PEs: its fastest tiling there, cycles per sample, and what they
    consist of by TERMS; of the tiling that the plan has, `is_plan`."""

    most_pes: int
    pes: int
    tiling: Tiling
    cycles: int
    terms: dict[str, int]
    is_plan: bool = False
    is_beyond: bool = False

    @property
    def stops(self) -> str:
        """The largest term beside the work itself."""
        others = {name: cycles for name, cycles in self.terms.items() if name != WORK}
        return max(others, key=lambda name: others[name])


@dataclass(frozen=True)
class Fall:
    """Steps of one stage: with fewer PEs, the plan's own, with more and more as long as that is
    faster, then without the wafer's limit."""

    stage: str
    bound_by: str
    steps: tuple[FallStep, ...]

    @property
    def own(self) -> FallStep:
        """The plan's."""
        return next(step for step in self.steps if step.is_plan)

    @property
    def fastest(self) -> FallStep:
        """With as many PEs as one likes."""
        return self.steps[-1]


def fall_of(record: StageRecord, stage: Stage, pricing: Pricing) -> Fall:
    """What PEs would do for a stage of a plan."""
    own = _step(record.region.area, record.tiling, stage, pricing)
    table, fits = _fitting(stage, pricing)
    few = (round(times * own.pes) for times in _FEWER)
    steps = [
        _step(most, found[0], stage, pricing)
        for most in few
        if (found := _fastest(table, fits, most)) is not None
    ]
    steps.append(replace(own, is_plan=True))
    for times in _MORE:
        found = _fastest(table, fits, times * own.pes)
        if found is not None and found[1] < steps[-1].cycles:
            steps.append(_step(times * own.pes, found[0], stage, pricing))
    return Fall(record.id, record.bound_by, (*steps, *_beyond(steps[-1], stage, pricing)))


def _beyond(last: FallStep, stage: Stage, pricing: Pricing) -> Iterator[FallStep]:
    """The fastest tiling of a machine of many wafers in one."""
    grid = pricing.target.grid
    rows, columns = _BEYOND * grid.rows, _BEYOND * grid.columns
    wide = replace(
        pricing.target, grid=replace(grid, rows=rows, columns=columns), defects=None, wafers=1
    )
    shared = pricing.regions_shared
    beyond = Pricing(pricing.stages, wide, pricing.training, regions_shared=shared)
    found = _fastest(*_fitting(stage, beyond), rows * columns)
    if found is not None and found[1] < last.cycles:
        step = _step(rows * columns, found[0], stage, beyond)
        yield replace(step, is_beyond=True)


def _fitting(stage: Stage, pricing: Pricing) -> tuple[StageTable, np.ndarray]:
    """The stage's tilings, and which of them fit the memory of a PE."""
    needed = pricing.needed_bytes(stage)
    return pricing.table(stage), needed <= pricing.target.capacity_bytes


def _fastest(table: StageTable, fits: np.ndarray, most_pes: int) -> tuple[Tiling, int] | None:
    """Of the tilings on at most so many PEs, and its cycles; of equally fast ones the smallest."""
    areas = table.tilings.height * table.tilings.width
    allowed = np.flatnonzero(fits & (areas <= most_pes))
    if len(allowed) == 0:
        return None
    cycles = table.total_cycles()[allowed]
    best = allowed[np.lexsort((areas[allowed], cycles))[0]]
    return table.tilings.tiling(int(best)), int(table.total_cycles()[best])


def _step(most_pes: int, tiling: Tiling, stage: Stage, pricing: Pricing) -> FallStep:
    pes = tiling.height * tiling.width
    terms = _terms(tiling, stage, pricing)
    return FallStep(most_pes, pes, tiling, sum(terms.values()), terms)


def _terms(tiling: Tiling, stage: Stage, pricing: Pricing) -> dict[str, int]:
    """Cycles by TERMS. Work is that of one PE without overheads, dealt out evenly."""
    machine = pricing.target
    compute, total = _priced(machine, tiling, stage, pricing)
    looped, _ = _priced(_without_starts(machine), tiling, stage, pricing)
    bare, _ = _priced(_without_loops(machine), tiling, stage, pricing)
    evenly = _with_even_loads(pricing)
    even, _ = _priced(_without_loops(machine), tiling, stage, evenly)
    alone, _ = _priced(_without_loops(machine), Tiling(1, 1, 1), stage, evenly)
    work = min(even, alone // (tiling.height * tiling.width))
    return {
        WORK: work,
        IMBALANCE: even - work,
        ROUTING: bare - even,
        START: compute - looped,
        LOOP: looped - bare,
        EXCHANGE: total - compute,
    }


def _priced(target: Target, tiling: Tiling, stage: Stage, pricing: Pricing) -> tuple[int, int]:
    """Cycles of arithmetic, and of all."""
    table = pricing.reprice(stage, target=target, tiling=tiling)
    return sum(int(o.compute[0]) for o in table.operators), int(table.total_cycles()[0])


def _with_even_loads(pricing: Pricing) -> Pricing:
    """Every expert gets as many rows."""
    if not pricing.training.loads:
        return pricing
    return Pricing(pricing.stages, pricing.target, replace(pricing.training, loads={}))


def _without_starts(target: Target) -> Target:
    """Instructions and tasks start at once."""
    vector = replace(target.vector, issue_cycles=0, task_cycles=0, trigger_cycles=0)
    return replace(target, vector=vector, sparsity=replace(target.sparsity, nonzero_cycles=0))


def _without_loops(target: Target) -> Target:
    """Nor do turns of loops take time."""
    started = _without_starts(target)
    return replace(started, vector=replace(started.vector, loop_cycles=0))
