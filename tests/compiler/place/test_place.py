from __future__ import annotations

from dataclasses import replace
from math import inf
from types import SimpleNamespace

import pytest
from helpers.placed_intervals import STAGES, interval
from helpers.small_mesh import EMPTY, kernels, mesh
from helpers.stages_of import random_masks, resnet8_stages
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.errors import InfeasibleError
from weft.compiler.mapping.choices import Placement
from weft.compiler.mapping.map import map_kernels
from weft.compiler.place import place
from weft.compiler.place.place import Packings, _in_strips, choose, estimated_interval
from weft.compiler.place.route import wire_length
from weft.compiler.place.streams import Streams
from weft.compiler.plan.training import Training
from weft.compiler.targets import load_target


@given(STAGES, st.integers(12, 40), st.integers(12, 40))
def test_rectangles_stay_inside_and_never_overlap(shapes, rows, columns):
    if interval(shapes, rows, columns) == float("inf"):
        return
    placed = place(EMPTY, kernels(shapes, rows, columns)).placed
    assert [p.stage for p in placed] == list(range(len(shapes)))
    for number, one in enumerate(placed):
        region = one.region
        sides = one.choice.height, one.choice.width
        assert (region.height, region.width) == (sides[::-1] if one.is_turned else sides)
        assert region.row >= 0
        assert region.column >= 0
        assert region.row + region.height <= rows
        assert region.column + region.width <= columns
        assert not any(region.overlaps(other.region) for other in placed[:number])


@given(STAGES)
def test_the_interval_is_the_slowest_stage_of_the_placement(shapes):
    least = interval(shapes, 24, 24)
    if least == float("inf"):
        return
    placed = place(EMPTY, kernels(shapes, 24, 24)).placed
    assert max(p.choice.interval_cycles for p in placed) <= least


def test_sparsity_shortens_the_interval_of_a_network():
    stages, target = resnet8_stages(), mesh(64, 64)
    intervals = []
    for density in (1.0, 0.5, 0.25):
        mapped = map_kernels(stages, target, Training(random_masks(stages, density)))
        placed = place(stages, mapped)
        intervals.append(max(p.choice.interval_cycles for p in placed.placed))
    assert intervals[0] > intervals[1] > intervals[2]


def test_an_estimate_is_the_same_up_to_the_bound_that_it_is_given():
    stages = resnet8_stages()
    found = map_kernels(stages, load_target("wse2"))
    interval = estimated_interval(stages, found)
    assert estimated_interval(stages, found, below=interval + 1) == interval
    assert estimated_interval(stages, found, below=interval) == inf


def test_placement_is_deterministic_and_wires_are_short():
    stages, target = resnet8_stages(), load_target("wse2")
    mapped = map_kernels(stages, target)
    placement = place(stages, mapped)
    assert placement == place(stages, mapped)
    reach = sum(p.region.height + p.region.width for p in placement.placed)
    assert wire_length(placement, stages.dag) <= 2 * reach


def test_features_on_columns_leave_nothing_turned_or_abreast():
    """Two stages of 2 x 6 PEs on 6 rows of 5: they fit turned alone, abreast of each other."""
    found = kernels([[(2, 6, 10)], [(2, 6, 10)]], 6, 5)
    placed = place(EMPTY, found).placed
    assert all(one.is_turned for one in placed)
    assert [one.region.row for one in placed] == [0, 0]
    with pytest.raises(InfeasibleError):
        place(EMPTY, replace(found, features_on_columns=True))
    wide = replace(found, target=mesh(6, 6), features_on_columns=True)
    regions = [one.region for one in place(EMPTY, wide).placed]
    assert [(one.height, one.width, one.column) for one in regions] == [(2, 6, 0), (2, 6, 0)]


def test_crowded_plans_leave_the_strips_for_shorter_wires():
    """Where room sets the interval wires get shorter, at the same interval; other plans stay."""
    stages = resnet8_stages()
    target = mesh(48, 48)
    packings = Packings(stages, map_kernels(stages, target))
    assert packings.is_crowded
    streams = Streams(stages, target)
    strips, chosen = _in_strips(packings, streams), choose(packings, target)
    assert wire_length(chosen, stages.dag) < strips.wires
    assert streams.pace(chosen).interval_cycles <= strips.interval
    assert chosen == choose(packings, target)
    wide = load_target("wse2")
    roomy = Packings(stages, map_kernels(stages, wide))
    assert not roomy.is_crowded
    assert choose(roomy, wide).placed == _in_strips(roomy, Streams(stages, wide)).placement.placed


def test_a_packing_whose_links_were_too_slow_is_tried_off_the_strips(monkeypatch):
    """Links are taken to be too slow for packings of the least interval, as they lie in strips."""
    stages, target = resnet8_stages(), mesh(48, 48)
    packings = Packings(stages, map_kernels(stages, target))
    least, *_ = packings.intervals
    slow = [id(ranked.placement) for ranked in packings.of(least)]
    streams = Streams(stages, target)

    def pace(placement: Placement) -> SimpleNamespace:
        found, factor = streams.pace(placement), 2 if id(placement) in slow else 1
        return SimpleNamespace(bounds=found.bounds, interval_cycles=factor * found.interval_cycles)

    stand_in = SimpleNamespace(pace=pace)
    monkeypatch.setitem(choose.__globals__, "Streams", lambda *given: stand_in)
    assert _in_strips(packings, stand_in).interval > least
    assert streams.pace(choose(packings, target)).interval_cycles == least
