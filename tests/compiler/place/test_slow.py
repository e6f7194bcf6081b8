"""Slow cores: a stage is as slow as the slowest core of its region."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.meshes_with_defects import PERFECT, interval_for, plan_for, with_defects
from weft.compiler.place.slow import speed
from weft.compiler.plan.check import check
from weft.compiler.plan.stage_record import Rectangle
from weft.compiler.targets.defects import Defects


@pytest.mark.parametrize("cores", [(0, 0, 20), (1, 1, 20, 0, 2, 70), (2, 0, 20, 90, 90, 50)])
def test_a_plan_with_room_moves_past_slow_cores(cores):
    """On a mesh that it does not fill it is as fast as without them, and stays on the mesh."""
    side = {"rows": 120, "columns": 120, "fabric_rows": 120, "fabric_columns": 120}
    roomy = replace(PERFECT, grid=replace(PERFECT.grid, **side))
    target = replace(roomy, defects=Defects(slow_cores=cores))
    plan = plan_for(target)
    assert speed(target, plan_for(roomy).stages[0].region) < 1, (
        "the core would have been in the way"
    )
    assert plan.totals.initiation_interval_cycles == interval_for(roomy)
    assert check(plan, target) == ()


def test_a_stage_is_as_slow_as_the_slowest_core_behind_its_rows():
    """Row 2 is bypassed, so row 4 of the plan is row 5 of the wafer."""
    target = with_defects(dead_cores=(2, 0), slow_cores=(5, 3, 40, 5, 4, 80))
    assert speed(target, Rectangle(4, 0, 1, 4)) == 0.4
    assert speed(target, Rectangle(4, 4, 1, 1)) == 0.8
    assert speed(target, Rectangle(5, 0, 3, 16)) == 1.0
