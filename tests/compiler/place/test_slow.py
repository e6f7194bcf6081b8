"""Slow cores: a stage is as slow as the slowest core of its region."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
from helpers.stages_of import stages_of
from torch import nn
from weft.compiler.emit.emit import Labels, emit
from weft.compiler.mapping.map import map_kernels
from weft.compiler.place.place import place
from weft.compiler.place.slow import speed
from weft.compiler.plan.check import check
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.program import Stages
from weft.compiler.plan.stage_record import Rectangle
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target
from weft.compiler.targets.defects import Defects
from weft.compiler.targets.target import Target

PERFECT = load_target("tiny_mesh")


@cache
def _stages() -> Stages:
    model = nn.Sequential(nn.Linear(24, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU())
    return stages_of(nn.Sequential(model, nn.Linear(32, 3)), torch.zeros(1, 24))


def _target(**defects: object) -> Target:
    return replace(PERFECT, defects=Defects(**defects))  # type: ignore[arg-type]


def _plan(target: Target, stages: Stages | None = None) -> PlanDocument:
    stages = stages or _stages()
    kernels = map_kernels(stages, target)
    return emit(stages, place(stages, kernels), {}, Training(), Labels("net")).document


def _interval(target: Target) -> int:
    return _plan(target).totals.initiation_interval_cycles


@pytest.mark.parametrize("cores", [(0, 0, 20), (1, 1, 20, 0, 2, 70), (2, 0, 20, 90, 90, 50)])
def test_a_plan_with_room_moves_past_slow_cores(cores):
    """On a mesh that it does not fill it is as fast as without them, and stays on the mesh."""
    side = {"rows": 120, "columns": 120, "fabric_rows": 120, "fabric_columns": 120}
    roomy = replace(PERFECT, grid=replace(PERFECT.grid, **side))
    target = replace(roomy, defects=Defects(slow_cores=cores))
    plan = _plan(target)
    assert speed(target, _plan(roomy).stages[0].region) < 1, "the core would have been in the way"
    assert plan.totals.initiation_interval_cycles == _interval(roomy)
    assert check(plan, target) == ()


def test_a_stage_is_as_slow_as_the_slowest_core_behind_its_rows():
    """Row 2 is bypassed, so row 4 of the plan is row 5 of the wafer."""
    target = _target(dead_cores=(2, 0), slow_cores=(5, 3, 40, 5, 4, 80))
    assert speed(target, Rectangle(4, 0, 1, 4)) == 0.4
    assert speed(target, Rectangle(4, 4, 1, 1)) == 0.8
    assert speed(target, Rectangle(5, 0, 3, 16)) == 1.0
