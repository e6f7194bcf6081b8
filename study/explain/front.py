"""Interval against area: what a plan's stages would need to be as fast as each other.

At every pace each stage takes its smallest tiling that is fast enough. Areas are those of the
regions alone; what placement leaves between them comes on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...backend.errors import UnknownNameError, UserError
from ...compiler.mapping.choices import Sizes
from ...compiler.mapping.pricing import Pricing
from ...compiler.plan.document import PlanDocument
from ...compiler.plan.evidence import figures_of
from ...compiler.plan.plan import Plan
from ...compiler.plan.stage_record import are_regions_shared
from ...compiler.targets.target import Target

OBJECTIVES = ("speed", "area")
_POINTS = 13
_SLOWEST = 64
"""Times the fastest pace."""


@dataclass(frozen=True)
class FrontPoint:
    """All stages at most `interval_cycles`, on `pes` PEs; `fits` says whether the machine has so
    many."""

    interval_cycles: int
    pes: int
    fits: bool

    @property
    def area_time(self) -> int:
        """PEs x cycles of one sample."""
        return self.interval_cycles * self.pes


@dataclass(frozen=True)
class Front:
    """Points from the fastest to the smallest, and where the plan is; `best` is the number of the
    one that the objective asks for."""

    objective: str
    points: tuple[FrontPoint, ...]
    plan: FrontPoint
    best: int


def front_of(plan: Plan, target: Target, objective: str) -> Front:
    """`speed` asks for the shortest interval that fits the machine, `area` for the least product of
    area and time.

    Raises UnknownNameError for another objective, UserError where it rests on assumed constants
    alone.
    """
    if objective not in OBJECTIVES:
        raise UnknownNameError("objective", objective, OBJECTIVES, "weft explain --help")
    _check_founded(plan.document, objective)
    points = _points(_sizes(plan, target), target.all_pes)
    order = [number for number, point in enumerate(points) if point.fits] or [len(points) - 1]
    best = min(order, key=lambda n: points[n].area_time) if objective == "area" else order[0]
    totals = plan.document.totals
    own = FrontPoint(round(totals.initiation_interval_cycles), totals.pes_used, fits=True)
    return Front(objective, points, own, best)


def _check_founded(plan: PlanDocument, objective: str) -> None:
    """Nothing is ranked by figures that nobody measured on constants that nobody published."""
    figure = figures_of(plan).throughput
    if not figure.is_assumed:
        return
    constants = {constant for term in figure.terms for constant in term.constants}
    raise UserError(
        f"plan of {plan.model} for {plan.target}, --objective {objective}",
        expected="an interval with a measurement or a published constant behind it",
        got=f"0 measured rows, and {len(constants)} of {len(constants)} constants assumed",
        change="compile for a machine that was measured, e.g. --target wse2; weft explain PLAN"
        " --evidence lists the constants",
    )


def _sizes(plan: Plan, target: Target) -> list[Sizes]:
    """Of each stage, the tilings that are worth keeping."""
    stages = plan.stages
    shared = are_regions_shared(plan.document.stages)
    pricing = Pricing(stages, target, plan.training, regions_shared=shared)
    return [pricing.stage_kernel(stage).sizes for stage in stages.stages]


def _points(stages: Sequence[Sizes], all_pes: int) -> tuple[FrontPoint, ...]:
    """Paces from the fastest on, a factor of 1.4 apart; a pace that needs no fewer PEs than a
    faster one is left out."""
    fastest = max(int(sizes.interval_cycles.min()) for sizes in stages)
    paces = np.geomspace(fastest, _SLOWEST * fastest, _POINTS)
    found: list[FrontPoint] = []
    for pace in paces:
        chosen = [_smallest(sizes, pace) for sizes in stages]
        pes = sum(area for area, _ in chosen)
        if not found or pes < found[-1].pes:
            found.append(FrontPoint(max(cycles for _, cycles in chosen), pes, pes <= all_pes))
    return tuple(found)


def _smallest(sizes: Sizes, pace: float) -> tuple[int, int]:
    """PEs and cycles of the smallest tiling that is fast enough."""
    fast = np.flatnonzero(sizes.interval_cycles <= pace)
    best = fast[np.argmin(sizes.areas[fast])]
    return int(sizes.areas[best]), int(sizes.interval_cycles[best])
