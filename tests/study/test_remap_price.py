"""What it takes to put a new map on a machine, and after how many samples that pays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.outgrown_plan import outgrown_plan
from weft.compiler.plan.plan import Plan
from weft.compiler.remap.new_map import new_map, target_of
from weft.sim import simulate
from weft.study.remap_price import (
    RemapPrice,
    as_planned_cycles,
    remap_price,
    standstill_cycles,
)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return outgrown_plan()


def test_under_its_own_masks_a_plan_has_its_own_cycles(plan: Plan) -> None:
    own = max(stage.cycles.total_cycles for stage in plan.document.stages)
    assert as_planned_cycles(plan, plan.masks, target_of(plan)) == own


def test_all_non_zeros_in_a_few_rows_make_the_old_map_slower(plan: Plan) -> None:
    crowded = {name: _first_rows(mask) for name, mask in plan.masks.items()}
    target = target_of(plan)
    before = as_planned_cycles(plan, plan.masks, target)
    assert as_planned_cycles(plan, crowded, target) > before
    now = replace(plan, masks=crowded)
    price = remap_price(now, new_map(now).document, target)
    assert price.as_planned_cycles == as_planned_cycles(plan, crowded, target)
    assert price.standstill_cycles == standstill_cycles(plan, crowded, target)


def test_every_non_zero_goes_to_the_host_and_back_while_the_pipeline_is_empty(plan: Plan) -> None:
    target, moved = target_of(plan), 0
    parameters = {name for stage in plan.document.stages for name in stage.parameters}
    for name, tensor in plan.tensors.items():
        if name in plan.masks:
            moved += int(plan.masks[name].sum()) * (4 + 4 + target.sparsity.index_bytes)
        elif name in parameters:
            moved += tensor.numel() * (4 + 4)  # a weight and its momentum
    report = simulate(plan.document, 1000)
    seconds = 2 * moved / target.host.bytes_per_s
    expected = report.fill_cycles + report.drain_cycles + round(seconds * target.clock_hz)
    assert standstill_cycles(plan, plan.masks, target) == expected


def test_a_map_that_is_no_faster_is_never_won_back() -> None:
    assert RemapPrice(1000, 30, 20).pays_after_samples == 100
    assert RemapPrice(1001, 30, 20).pays_after_samples == 101
    assert RemapPrice(1000, 20, 20).pays_after_samples is None
    assert "never won back" in RemapPrice(1000, 20, 20).text()


def _first_rows(mask: torch.Tensor) -> torch.Tensor:
    kept = torch.zeros_like(mask).flatten()
    kept[: int(mask.sum())] = True
    return kept.reshape(mask.shape)
