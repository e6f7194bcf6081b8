"""The balance pass and the rule for new maps, on a small network with real masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.compiler.kernels.layout import find_layout
from weft.compiler.kernels.nonzeros import WeightTiles, count_mask
from weft.compiler.pipeline import Options, compile_model
from weft.compiler.place.balance import orders, permuted
from weft.compiler.plan.plan import Plan
from weft.compiler.remap.mask_room import rooms


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 16, 64)
    )


def masks_of(model: nn.Module, seed: int = 0, kept: float = 0.25) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(value.shape, generator=generator) < kept
        for name, value in model.named_parameters()
        if value.ndim > 1
    }


def compiled(model: nn.Module, **options) -> Plan:
    sample = torch.zeros(1, 3, 4, 4), torch.zeros(1, dtype=torch.int64)
    return compile_model(model, sample, F.cross_entropy, "wse2", Options(**options))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return net()


@pytest.fixture(scope="module")
def plan(model: nn.Module) -> Plan:
    return compiled(model, masks=masks_of(model))


@pytest.fixture(scope="module")
def unbalanced(model: nn.Module) -> Plan:
    masks = masks_of(model)
    return compiled(model, masks=masks, dynamic=tuple(masks))


def test_the_plans_fullest_tiles_are_those_of_its_masks_permuted(plan: Plan) -> None:
    arrays = {name: np.asarray(mask) for name, mask in plan.masks.items()}
    gained = 0
    for stage, record in zip(plan.stages.stages, plan.document.stages, strict=True):
        found = orders(stage, record.tiling, arrays)
        for name, order in found.items():
            matrix = find_layout(stage.program).matrices[stage.parameters.index(name)]
            mask = permuted(arrays[name], order, matrix)
            assert sorted(order.rows.tolist()) == list(range(matrix.out_features))
            assert mask.sum() == arrays[name].sum()
            counts = count_mask(mask, matrix.in_axis)
            tiles = WeightTiles(matrix.out_features, matrix.in_features, matrix.taps, counts=counts)
            splits = record.tiling.in_split, record.tiling.out_split
            assert int(tiles.tile_counts(*splits).max()) == order.after.maximum
            bias = -(-matrix.out_features // record.tiling.out_split)
            assert record.nonzeros.per_pe_max == order.after.maximum + bias
            assert record.nonzeros.per_pe_max_unbalanced == order.before.maximum + bias
            gained += order.before.maximum - order.after.maximum
    assert gained > 0
    assert "balancing took" in plan.summary()


def test_nothing_else_than_the_fullest_tiles_changes(plan: Plan, unbalanced: Plan) -> None:
    for mine, theirs in zip(plan.document.stages, unbalanced.document.stages, strict=True):
        assert mine.region == theirs.region
        assert mine.macs_effective == theirs.macs_effective
        assert mine.nonzeros.total == theirs.nonzeros.total
        assert mine.cycles.total_cycles <= theirs.cycles.total_cycles
        assert mine.memory_per_pe.total_bytes <= theirs.memory_per_pe.total_bytes
    for name, mask in unbalanced.masks.items():
        assert torch.equal(plan.masks[name], mask)
        assert torch.equal(plan.tensors[name], unbalanced.tensors[name])


def test_masks_that_will_change_are_not_balanced(unbalanced: Plan) -> None:
    for record in unbalanced.document.stages:
        assert record.nonzeros.per_pe_max == record.nonzeros.per_pe_max_unbalanced
    assert "balancing" not in unbalanced.summary()


def test_a_stage_whose_mask_changes_keeps_memory_free(model: nn.Module, unbalanced: Plan) -> None:
    for room in rooms(unbalanced, masks_of(model, seed=1)):
        assert not room.needs_new_map
        assert room.capacity >= 1.1 * room.nonzeros


def test_masks_that_do_not_fit_ask_for_a_new_map(model: nn.Module, plan: Plan) -> None:
    assert not any(room.needs_new_map for room in rooms(plan, plan.masks))
    totals = plan.document.totals
    least = max(stage.memory_per_pe.total_bytes for stage in plan.document.stages)
    full = replace(totals, memory_capacity_per_pe_bytes=least)
    tight = replace(plan, document=replace(plan.document, totals=full))
    dense = {name: torch.ones_like(mask) for name, mask in plan.masks.items()}
    assert not any(room.needs_new_map for room in rooms(tight, plan.masks))
    found = {room.stage: room for room in rooms(tight, dense)}
    fullest = max(plan.document.stages, key=lambda s: s.memory_per_pe.total_bytes)
    assert found[fullest.id].needs_new_map
    assert found[fullest.id].nonzeros > 2 * found[fullest.id].capacity
