"""Finer tilings about the interval of a full machine."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.small_mesh import mesh
from helpers.stages_of import resnet8_stages
from weft.compiler.machine.tilings import tilings_about
from weft.compiler.mapping.map import map_kernels
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.place import place
from weft.compiler.place.intervals import Intervals
from weft.compiler.plan.training import Training
from weft.compiler.targets.target import Target


@pytest.fixture(scope="module")
def machine() -> Target:
    return mesh(36, 36)


def test_finer_choices_are_priced_as_alone_fit_their_pes_and_shorten_the_interval(
    machine: Target,
) -> None:
    stages = resnet8_stages()
    coarse = map_kernels(stages, machine)
    least = Intervals(coarse).least
    assert least > max(int(stage.sizes.interval_cycles.min()) for stage in coarse.stages)
    assert coarse.finer is not None
    finer = coarse.finer(coarse, least)
    assert Intervals(finer).least < least
    pricing = Pricing(stages, machine, Training())
    known = [{choice.tiling for choice in kernel.choices} for kernel in coarse.stages]
    added = 0
    for kernel, before in zip(finer.stages, known, strict=True):
        assert int(kernel.sizes.memory_bytes.max()) <= machine.capacity_bytes
        for number, choice in enumerate(kernel.choices):
            if choice.tiling in before:
                continue
            added += 1
            alone = pricing.reprice(stages.stages[kernel.stage], tiling=choice.tiling)
            assert choice.cycles.total_cycles == int(alone.total_cycles()[0])
            assert (choice.height, choice.width) == (
                int(kernel.sizes.heights[number]),
                int(kernel.sizes.widths[number]),
            )
    assert added > 3


def test_a_somewhat_shorter_interval_takes_fewer_pes_with_finer_choices(machine: Target) -> None:
    stages = resnet8_stages()
    coarse = map_kernels(stages, machine)
    least = Intervals(coarse).least
    assert coarse.finer is not None
    finer = coarse.finer(coarse, least)
    for shorter, share in ((least, 1), (int(0.95 * least), 0.99)):
        before, after = (
            [
                int(kernel.sizes.areas[kernel.sizes.interval_cycles <= shorter].min(initial=1024))
                for kernel in kernels.stages
            ]
            for kernels in (coarse, finer)
        )
        assert all(more <= few for more, few in zip(after, before, strict=True))
        assert sum(after) < share * sum(before)


def test_a_full_machine_is_placed_with_finer_tilings_but_not_as_in_2021(machine: Target) -> None:
    stages = resnet8_stages()
    least = Intervals(map_kernels(stages, machine)).least
    placed = place(stages, map_kernels(stages, machine)).placed
    assert max(one.choice.interval_cycles for one in placed) < least
    assert map_kernels(stages, machine, Training(in_sequence=True)).finer is None


def test_splits_about_one_are_near_it_whole_and_within_the_grid() -> None:
    found = tilings_about([(8, 6, 16)], (64, 100, 48), 60, 20)
    areas = found.height * found.width
    assert {(8, 6, 16)} <= set(zip(found.in_split, found.space_split, found.out_split, strict=True))
    assert len(found) > 20
    assert int(found.height.max()) <= 60
    assert int(found.width.max()) <= 20
    assert 0.65 * 768 <= areas.min() <= areas.max() <= 1.2 * 768
    for size, splits in ((64, found.in_split), (100, found.space_split), (48, found.out_split)):
        slices = -(-size // splits)
        assert np.array_equal(-(-size // slices), splits)  # none is empty
