"""Room for masks that change, against what the compiler itself says of plans with those masks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.pipeline import Options, compile_model
from weft.compiler.plan.plan import Plan
from weft.compiler.plan.training import Training
from weft.compiler.remap.mask_room import rooms
from weft.compiler.targets.load import load_target


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 16, 64)
    )


def masks_of(kept: float, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(value.shape, generator=generator) < kept
        for name, value in net().named_parameters()
        if value.ndim > 1
    }


@pytest.fixture(scope="module")
def plan() -> Plan:
    masks, sample = masks_of(0.25), (torch.zeros(1, 3, 4, 4), torch.zeros(1, dtype=torch.int64))
    options = Options(masks=masks, dynamic=tuple(masks))
    return compile_model(net(), sample, F.cross_entropy, "wse2", options)


@pytest.mark.parametrize("kept", [0.05, 0.25, 0.6, 0.9, 1.0])
def test_needed_bytes_and_non_zeros_are_those_of_the_stage_priced_with_the_new_masks(
    plan: Plan, kept: float
) -> None:
    masks = masks_of(kept, seed=1)
    pricing = Pricing(plan.stages, load_target("wse2"), Training(masks, frozenset(masks)))
    found = {room.stage: room for room in rooms(plan, masks)}
    assert len(found) == 2
    for stage, record in zip(plan.stages.stages, plan.document.stages, strict=True):
        if record.id in found:
            table = pricing.reprice(stage, tiling=record.tiling)
            room = found[record.id]
            assert room.nonzeros == table.nonzeros_max[0]
            assert room.needed_bytes == table.memory.total(pricing.post(stage))[0]


def test_a_trained_plans_room_is_that_of_its_own_masks(plan: Plan) -> None:
    """Its document still describes the masks it was compiled with."""
    masks = masks_of(0.6, seed=2)
    trained = replace(plan, masks=masks)
    assert rooms(trained, masks) == rooms(plan, masks)
    assert rooms(trained, masks) != rooms(plan, plan.masks)


@pytest.mark.parametrize("kept", [0.1, 0.3, 0.6, 1.0])
def test_a_new_map_is_needed_just_where_there_is_room_for_fewer(plan: Plan, kept: float) -> None:
    totals, masks = plan.document.totals, masks_of(kept, seed=3)
    for capacity in range(1_000, 12_000, 500):
        tight = replace(totals, memory_capacity_per_pe_bytes=capacity)
        small = replace(plan, document=replace(plan.document, totals=tight))
        for room in rooms(small, masks):
            assert room.needs_new_map == (room.nonzeros > room.capacity)
