"""A small mesh with defects, and what a plan for it takes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from helpers.stages_of import stages_of
from torch import nn
from weft.compiler.emit.emit import Labels, emit
from weft.compiler.mapping.map import map_kernels
from weft.compiler.place.place import place
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.program import Stages
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target
from weft.compiler.targets.defects import Defects
from weft.compiler.targets.target import Target

PERFECT = load_target("tiny_mesh")


@cache
def four_stages() -> Stages:
    model = nn.Sequential(nn.Linear(24, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU())
    return stages_of(nn.Sequential(model, nn.Linear(32, 3)), torch.zeros(1, 24))


def with_defects(**defects: object) -> Target:
    return replace(PERFECT, defects=Defects(**defects))  # type: ignore[arg-type]


def plan_for(target: Target, stages: Stages | None = None) -> PlanDocument:
    stages = stages or four_stages()
    kernels = map_kernels(stages, target)
    return emit(stages, place(stages, kernels), {}, Training(), Labels("net")).document


def interval_for(target: Target) -> int:
    return plan_for(target).totals.initiation_interval_cycles
