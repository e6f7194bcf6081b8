"""Placements are priced with the links that their streams share, as plans are."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from helpers.stages_of import resnet8_stages
from weft.compiler.emit.emit import Labels, emit
from weft.compiler.mapping.choices import Choice, Kernels, StageKernel
from weft.compiler.mapping.map import map_kernels
from weft.compiler.place import place
from weft.compiler.place.intervals import Intervals
from weft.compiler.place.streams import Streams
from weft.compiler.place.strip_layouts import placements
from weft.compiler.plan.stage_record import NonZeros, PEMemory, PhaseCycles, Tiling
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target

STAGES = resnet8_stages()
MEMORY, NONZEROS = PEMemory(0, 0, 0, 0, 0, 0, 0, 0), NonZeros(0, 0, 0.0, 0, 0)


@pytest.mark.parametrize("link_bytes", ["1", "4"])
def test_the_pace_of_a_placement_is_that_of_its_plan(link_bytes):
    kernels = map_kernels(STAGES, load_target("wse2", {"noc.link_bytes_per_cycle": link_bytes}))
    placement = place(STAGES, kernels)
    plan = emit(STAGES, placement, {}, Training(), Labels("resnet8")).document
    assert Streams(STAGES).pace(placement).interval_cycles == plan.totals.initiation_interval_cycles


def choice(rng: np.random.Generator) -> Choice:
    height, width = (int(side) for side in rng.integers(1, 7, 2))
    cycles = PhaseCycles(int(rng.integers(1, 400)), 0, 0)
    return Choice(Tiling(1, height, width), (), cycles, 0, MEMORY, NONZEROS)


@cache
def random_kernels(seed: int) -> Kernels:
    """Stages that are faster than their links, in rectangles of any form."""
    rng = np.random.default_rng(seed)
    tiny = load_target("tiny_mesh", {"noc.link_bytes_per_cycle": "1"})
    target = replace(tiny, grid=replace(tiny.grid, rows=24, columns=40))
    stages = [
        StageKernel(stage.index, tuple(choice(rng) for _ in range(6))) for stage in STAGES.stages
    ]
    return Kernels(target, tuple(stages))


def packings(seed: int) -> list[float]:
    """Paces of all packings for the fastest stages."""
    kernels = random_kernels(seed)
    found = placements(kernels, Intervals(kernels).least)
    return [Streams(STAGES).pace(placement).interval_cycles for placement in found]


SEEDS = range(6)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_packing_for_the_fastest_stages_is_faster(seed):
    placed = place(STAGES, random_kernels(seed))
    best = Streams(STAGES).pace(placed).interval_cycles
    assert Intervals(random_kernels(seed)).least <= best <= min(packings(seed))


def test_links_decide_between_packings_and_for_slower_stages():
    """Or the test above would not test anything: packings differ, and some are beaten by stages
    that take longer."""
    assert any(max(packings(seed)) > min(packings(seed)) for seed in SEEDS)
    best = [Streams(STAGES).pace(place(STAGES, random_kernels(s))).interval_cycles for s in SEEDS]
    assert any(found < min(packings(seed)) for seed, found in zip(SEEDS, best, strict=True))
