"""Slow cores: a stage is as slow as the slowest core of its region.

before: stage 3: 8 x 16 PEs at (0, 0), 610 cycles      a core at half speed in the region
after:  stage 3: 8 x 16 PEs at (0, 0), 1,120 cycles    arithmetic doubled, communication not
"""

from __future__ import annotations

import math
from dataclasses import replace

from ..mapping.choices import PlacedStage, Placement
from ..plan.stage_record import OperatorCost, PhaseCycles, Rectangle
from ..targets.target import Target

_PHASES = ("forward", "backward", "update")


def slowed(placement: Placement) -> Placement:
    """The placement with the cycles its slow cores give it; the same object without such cores."""
    target = placement.target
    if target.defects is None or not any(target.defects.slow()):
        return placement
    placed = tuple(_slowed(target, stage) for stage in placement.placed)
    return replace(placement, placed=placed)


def slowest_cycles(placement: Placement) -> int:
    """Cycles per sample of the slowest region, slow cores included; streams may be slower."""
    regions = slowed(placement).by_region.values()
    return max(sum(one.choice.pace_cycles for one in users) for users in regions)


def speed(target: Target, region: Rectangle) -> float:
    """Share of full speed of the slowest core in a region."""
    if target.defects is None:
        return 1.0
    rows = set(target.working_rows[region.row : region.row + region.height])
    columns = range(region.column, region.column + region.width)
    inside = (s for row, column, s in target.defects.slow() if row in rows and column in columns)
    return min(inside, default=1.0)


def _slowed(target: Target, placed: PlacedStage) -> PlacedStage:
    share = speed(target, placed.region)
    if share == 1:
        return placed
    operators = tuple(
        replace(operator, compute_cycles=math.ceil(operator.compute_cycles / share))
        for operator in placed.choice.operators
    )
    choice = replace(placed.choice, operators=operators, cycles=_cycles(operators))
    return replace(placed, choice=choice)


def _cycles(operators: tuple[OperatorCost, ...]) -> PhaseCycles:
    sums = (sum(o.cycles for o in operators if o.phase == phase) for phase in _PHASES)
    return PhaseCycles(*sums)
