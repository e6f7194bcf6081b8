"""Prices of every tiling of a stage, and the Pareto set of those that fit a PE."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from helpers.stages_of import stages_of
from helpers.tied_networks import compiled
from torch import nn
from weft.backend.errors import InfeasibleError
from weft.compiler.mapping.map import map_kernels
from weft.compiler.mapping.pricing import Known, Pricing
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target

WSE2, TINY = load_target("wse2"), load_target("tiny_mesh")


def test_stages_with_random_masks_alike_share_one_table():
    layers = nn.Sequential(*(nn.Sequential(nn.Linear(16, 16), nn.ReLU()) for _ in range(5)))
    stages = stages_of(layers, torch.zeros(1, 16))
    first, second, third = stages.stages[1:4]
    masks = {first.parameters[0]: 0.9, second.parameters[0]: 0.9, third.parameters[0]: 0.5}
    pricing = Pricing(stages, WSE2, Training(masks))
    assert pricing.table(first) is pricing.table(second)
    assert pricing.table(first).nonzeros_total == pricing.reprice(second).nonzeros_total
    assert pricing.table(third).nonzeros_total > pricing.table(first).nonzeros_total
    drawn = {s.parameters[0]: torch.ones(16, 16, dtype=torch.bool) for s in (first, second)}
    real = Pricing(stages, WSE2, Training(drawn))
    assert real.table(first) is not real.table(second)


@pytest.mark.parametrize("regions_shared", [False, True])
def test_tables_of_known_costs_are_those_of_costs_made_anew(regions_shared: bool) -> None:
    stages, known = compiled(witness=False).stages, Known()
    other = Pricing(stages, WSE2, Training(), known, regions_shared=not regions_shared)
    pricing = Pricing(stages, WSE2, Training(), known, regions_shared=regions_shared)
    for stage in stages.stages:
        before, table, anew = other.table(stage), pricing.table(stage), pricing.reprice(stage)
        assert before.backward_first == (table.backward_first != (stages.delay(stage.index) > 0))
        assert (table.total_cycles() == anew.total_cycles()).all()
        memory = [one.memory.total(pricing.post(stage)) for one in (table, anew)]
        assert (memory[0] == memory[1]).all()
    known.trim()
    assert not list(known.costs)


def test_large_stages_may_fill_the_mesh():
    """1,650 features on 100 rows: slices of powers of two, and halves between, use 72 of them."""
    grid = replace(TINY.grid, rows=100, columns=100)
    roomy = replace(TINY, grid=grid, sram=replace(TINY.sram, bytes_per_pe=2**20))
    stages = stages_of(nn.Linear(1650, 1650), torch.zeros(1, 1650))
    pricing, stage = Pricing(stages, roomy, Training()), stages.stages[0]
    least = int(pricing.reprice(stage).memory.total(pricing.post(stage)).min())
    sram = replace(roomy.sram, bytes_per_pe=least + roomy.sram.reserved_bytes)
    kernel = map_kernels(stages, replace(roomy, sram=sram)).stages[0]
    assert {(choice.height, choice.width) for choice in kernel.choices} == {(98, 98)}
    sram = replace(roomy.sram, bytes_per_pe=least - 1 + roomy.sram.reserved_bytes)
    with pytest.raises(InfeasibleError, match=f"got: +{least:,} bytes"):
        map_kernels(stages, replace(roomy, sram=sram))


SIZES = 15, 16, 17, 31, 32, 33, 47, 48, 49, 50


def least_cycles(module: nn.Module, shape: tuple[int, ...], side: int) -> float:
    """Of a forward and backward under the fastest tiling of at most side x side PEs."""
    target = replace(WSE2, grid=replace(WSE2.grid, rows=side, columns=side))
    sample = torch.zeros(1, *shape)
    stages = stages_of(module, sample, F.mse_loss, module(sample).detach())
    pricing, stage = Pricing(stages, target, Training()), stages.stages[0]
    fits = pricing.needed_bytes(stage) <= target.capacity_bytes
    return float(pricing.table(stage).total_cycles()[fits].min())


@pytest.mark.parametrize(
    "found",
    [
        lambda size: least_cycles(nn.Linear(size, 24), (12, size), 12),
        lambda size: least_cycles(nn.Linear(24, size), (12, 24), 12),
        lambda size: least_cycles(nn.Linear(24, 24), (size, 24), 12),
        lambda size: least_cycles(nn.Softmax(-1), (12, size), 12),
        lambda size: least_cycles(nn.LayerNorm(size), (12, size), 12),
        lambda size: least_cycles(nn.GroupNorm(2, 24), (24, size), 12),
        lambda size: -least_cycles(nn.Linear(24, 24), (12, 24), size),
    ],
    ids=["features", "outputs", "tokens", "soft-max", "layer norm", "group norm", "fewer PEs"],
)
def test_the_fastest_tiling_of_something_larger_is_no_faster(found):
    """Whichever algorithm and form of a sum is the fastest at each size. Splits are coarse, and
    those of a size may be worth a cycle or two in a thousand."""
    cycles = [found(size) for size in SIZES]
    assert all(larger >= smaller - 3e-3 * abs(smaller) for smaller, larger in pairwise(cycles))
    assert cycles[0] < cycles[-1]
