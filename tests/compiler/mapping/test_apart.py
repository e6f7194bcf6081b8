"""Stages whose forward has PEs of its own, beside those of backward and update."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.small_mesh import choice as choice_of
from helpers.small_mesh import mesh
from helpers.stages_of import resnet8_stages
from weft.backend.errors import UserError
from weft.compiler.mapping.apart import may_be_apart
from weft.compiler.mapping.choices import PlacedStage
from weft.compiler.mapping.map import map_kernels
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.place import place
from weft.compiler.place.intervals import Intervals
from weft.compiler.plan.program import Stages
from weft.compiler.plan.stage_record import Rectangle
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target
from weft.compiler.targets.target import Target


@pytest.fixture(scope="module")
def stages() -> Stages:
    return resnet8_stages()


@pytest.fixture(scope="module")
def wafer() -> Target:
    return load_target("wse2")


def test_what_one_region_can_do_is_still_there_and_two_shorten_the_interval(
    stages: Stages, wafer: Target
) -> None:
    together = map_kernels(stages, wafer)
    apart = map_kernels(stages, wafer, Training(apart=True))
    assert Intervals(apart).least < Intervals(together).least
    for kernel, before in zip(apart.stages, together.stages, strict=True):
        fastest = before.sizes.interval_cycles.min()
        own = [choice for choice in kernel.choices if not choice.apart]
        assert {choice.tiling for choice in own} <= {choice.tiling for choice in before.choices}
        assert kernel.sizes.interval_cycles.min() <= fastest


def test_cycles_are_those_of_the_slower_region_and_both_fit(stages: Stages, wafer: Target) -> None:
    kernels = map_kernels(stages, wafer, Training(apart=True))
    found = 0
    for kernel in kernels.stages:
        for number, choice in enumerate(kernel.choices):
            if not choice.apart:
                continue
            found += 1
            cycles, sizes = choice.cycles, kernel.sizes
            after = cycles.backward_cycles + cycles.update_cycles
            expected = max(cycles.forward_cycles, after, choice.stream_cycles)
            assert sizes.interval_cycles[number] == choice.interval_cycles == expected
            assert choice.area == 2 * choice.tiling.height * choice.tiling.width
            assert sizes.areas[number] == choice.area
            assert choice.height <= wafer.rows
            assert choice.width <= wafer.columns
    assert found > 20


def test_the_last_stage_keeps_one_region(stages: Stages, wafer: Target) -> None:
    """Its backward is of the sample of its forward: it cannot run beside it."""
    pricing = Pricing(stages, wafer, Training(apart=True))
    able = [may_be_apart(pricing, stage) for stage in stages.stages]
    assert not able[-1]
    assert all(able[:-1])


@pytest.mark.parametrize("is_turned", [False, True])
def test_parts_tile_the_region_with_their_longer_sides_together(
    stages: Stages, wafer: Target, is_turned: bool
) -> None:
    kernels = map_kernels(stages, wafer, Training(apart=True))
    for choice in (c for kernel in kernels.stages for c in kernel.choices if c.apart):
        sides = (choice.height, choice.width)[:: -1 if is_turned else 1]
        one, other = choice.parts(Rectangle(5, 7, *sides))
        assert one.area == other.area == choice.tiling.height * choice.tiling.width
        assert (one.row, one.column) == (5, 7)
        beside = (one.row, one.column + one.width), (one.row + one.height, one.column)
        assert (other.row, other.column) in beside
        touching = one.height if other.row == one.row else one.width
        assert touching == max(one.height, one.width)


@pytest.mark.parametrize("is_turned", [False, True])
@pytest.mark.parametrize(("height", "width"), [(4, 8), (8, 4), (4, 4), (2, 1), (1, 2), (3, 7)])
def test_the_tiling_fills_each_part_as_the_stage_lies(
    height: int, width: int, is_turned: bool
) -> None:
    """Two of 4 x 8 PEs are a square, from which cannot be seen which way they lie."""
    apart = replace(choice_of(height, width, 1), apart=True)
    sides = (apart.height, apart.width)[:: -1 if is_turned else 1]
    placed = PlacedStage(0, apart, Rectangle(5, 7, *sides))
    assert placed.is_turned == (is_turned and sides[0] != sides[1])
    tiled = (height, width)[:: -1 if placed.is_turned else 1]
    assert [(part.height, part.width) for part in placed.parts] == [tiled, tiled]


def test_a_full_machine_has_apart_only_what_pays(stages: Stages) -> None:
    small = mesh(32, 32)
    together = place(stages, map_kernels(stages, small))
    apart = place(stages, map_kernels(stages, small, Training(apart=True)))
    slowest = [max(one.choice.interval_cycles for one in p.placed) for p in (together, apart)]
    assert slowest[1] <= slowest[0]
    assert sum(one.region.area for one in apart.placed) <= small.all_pes


def test_a_machine_on_which_no_stage_can_be_apart_is_refused(stages: Stages, wafer: Target) -> None:
    """Its ticks begin with the forward, and streams between stages hold one sample."""
    written = replace(wafer, software=replace(wafer.software, triggered=False))
    with pytest.raises(UserError, match=r"target wse2, pipeline\.mappings"):
        map_kernels(stages, written, Training(apart=True))
