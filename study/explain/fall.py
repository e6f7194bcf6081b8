"""What more PEs would do for a stage, and which term stops its cycles from falling.

Terms are found by pricing the same tiling on machines without one kind of overhead, so they follow
whatever mapping it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...compiler.kernels.stage import StageTable
from ...compiler.mapping.apart import fitting_apart, may_be_apart
from ...compiler.mapping.pricing import Pricing
from ...compiler.plan.causes import EXCHANGE, IMBALANCE, LOOP, ROUTING, START, WORK
from ...compiler.plan.program import Stage
from ...compiler.plan.stage_record import PHASES_OF, StageRecord, Tiling
from ...compiler.targets.target import Target

_FEWER, _MORE = (0.25, 0.5), (1, 2, 4, 8, 16)
_BEYOND = 4
"""Rows and columns of a machine without the wafer's limit, in wafers."""


@dataclass(frozen=True)
class FallStep:
    """A stage on at most `most_pes` PEs: its fastest tiling there, cycles per sample, and what they
    consist of by TERMS; of the tiling that the plan has, `is_plan`. If it `is_apart`, forward and
    backward have half of the PEs each, and cycles are those of the busier half."""

    most_pes: int
    pes: int
    tiling: Tiling
    cycles: int
    terms: dict[str, int]
    is_apart: bool = False
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
    faster, with PEs of its own for the forward if that is, then without the wafer's limit."""

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


@dataclass(frozen=True)
class _Way:
    """A tiling of a stage, perhaps of two regions, of which one counts: what that is for."""

    tiling: Tiling
    is_apart: bool
    purpose: str


Tables = Sequence[tuple[StageTable, np.ndarray]]
"""Tilings of a stage, and which of them fit the memory of a PE: of one region, perhaps of two."""


def fall_of(record: StageRecord, stage: Stage, pricing: Pricing) -> Fall:
    """What PEs would do for a stage of a plan."""
    busier = max(record.uses, key=lambda use: use.cycles).purpose
    way = _Way(record.tiling, record.is_apart, busier)
    own = _step(record.region.area, way, stage, pricing)
    tables = _tables(stage, pricing)
    few = (round(times * own.pes) for times in _FEWER)
    steps = [
        _step(most, found[0], stage, pricing)
        for most in few
        if (found := _fastest(tables, most)) is not None
    ]
    steps.append(replace(own, is_plan=True))
    for times in _MORE:
        found = _fastest(tables, times * own.pes)
        if found is not None and found[1] < steps[-1].cycles:
            steps.append(_step(times * own.pes, found[0], stage, pricing))
    steps += _apart(steps[-1], stage, pricing)
    return Fall(record.id, record.bound_by, (*steps, *_beyond(steps[-1], stage, pricing)))


def _apart(last: FallStep, stage: Stage, pricing: Pricing) -> Iterator[FallStep]:
    """The fastest of two regions, where the plan may have none."""
    if pricing.training.apart or not may_be_apart(pricing, stage):
        return
    grid = pricing.target.rows * pricing.target.columns
    found = _fastest([_of_two(stage, pricing)], grid)
    if found is not None and found[1] < last.cycles:
        yield _step(grid, found[0], stage, pricing)


def _beyond(last: FallStep, stage: Stage, pricing: Pricing) -> Iterator[FallStep]:
    """The fastest tiling of a machine of many wafers in one."""
    grid = pricing.target.grid
    rows, columns = _BEYOND * grid.rows, _BEYOND * grid.columns
    wide = replace(
        pricing.target, grid=replace(grid, rows=rows, columns=columns), defects=None, wafers=1
    )
    shared = pricing.regions_shared
    beyond = Pricing(pricing.stages, wide, pricing.training, regions_shared=shared)
    found = _fastest(_tables(stage, beyond), rows * columns)
    if found is not None and found[1] < last.cycles:
        step = _step(rows * columns, found[0], stage, beyond)
        yield replace(step, is_beyond=True)


def _tables(stage: Stage, pricing: Pricing) -> Tables:
    """Of one region, and of two where the plan may have them."""
    needed = pricing.needed_bytes(stage)
    own = pricing.table(stage), needed <= pricing.target.capacity_bytes
    is_able = pricing.training.apart and may_be_apart(pricing, stage)
    return [own, _of_two(stage, pricing)] if is_able else [own]


def _of_two(stage: Stage, pricing: Pricing) -> tuple[StageTable, np.ndarray]:
    table = pricing.table_apart(stage)
    fits = np.zeros(len(table.tilings), bool)
    fits[fitting_apart(pricing, stage, table)] = True
    return table, fits


def _fastest(tables: Tables, most_pes: int) -> tuple[_Way, int] | None:
    """Of the tilings on at most so many PEs, and its cycles; of equally fast ones the smallest."""
    found: list[tuple[int, int, _Way]] = []
    for table, fits in tables:
        allowed = np.flatnonzero(fits & (table.areas <= most_pes))
        if len(allowed):
            cycles = table.total_cycles()[allowed]
            best = int(allowed[np.lexsort((table.areas[allowed], cycles))[0]])
            found.append(
                (int(table.total_cycles()[best]), int(table.areas[best]), _way(table, best))
            )
    if not found:
        return None
    cycles, _, way = min(found, key=lambda one: one[:2])
    return way, cycles


def _way(table: StageTable, number: int) -> _Way:
    tiling, phases = table.tilings.tiling(number), table.phase_cycles
    if not table.apart:
        return _Way(tiling, False, "all")
    own = {
        purpose: sum(int(phases[phase][number]) for phase in PHASES_OF[purpose])
        for purpose in ("forward", "backward")
    }
    return _Way(tiling, True, max(own, key=lambda purpose: own[purpose]))


def _step(most_pes: int, way: _Way, stage: Stage, pricing: Pricing) -> FallStep:
    pes = way.tiling.height * way.tiling.width * (1 + way.is_apart)
    terms = _terms(way, stage, pricing)
    return FallStep(most_pes, pes, way.tiling, sum(terms.values()), terms, way.is_apart)


def _terms(way: _Way, stage: Stage, pricing: Pricing) -> dict[str, int]:
    """Cycles by TERMS. Work is that of one PE without overheads, dealt out evenly."""
    machine, tiling = pricing.target, way.tiling
    compute, total = _priced(machine, way, stage, pricing)
    looped, _ = _priced(_without_starts(machine), way, stage, pricing)
    bare, _ = _priced(_without_loops(machine), way, stage, pricing)
    evenly = _with_even_loads(pricing)
    even, _ = _priced(_without_loops(machine), way, stage, evenly)
    single = replace(way, tiling=Tiling(1, 1, 1))
    alone, _ = _priced(_without_loops(machine), single, stage, evenly)
    work = min(even, alone // (tiling.height * tiling.width))
    return {
        WORK: work,
        IMBALANCE: even - work,
        ROUTING: bare - even,
        START: compute - looped,
        LOOP: looped - bare,
        EXCHANGE: total - compute,
    }


def _priced(target: Target, way: _Way, stage: Stage, pricing: Pricing) -> tuple[int, int]:
    """Cycles of arithmetic, and of all, of the phases that count."""
    table = pricing.reprice(stage, target=target, tiling=way.tiling, apart=way.is_apart)
    phases = PHASES_OF[way.purpose]
    compute = sum(int(o.compute[0]) for o in table.operators if o.phase in phases)
    return compute, sum(int(table.phase_cycles[phase][0]) for phase in phases)


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
