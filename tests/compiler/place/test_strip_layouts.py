from __future__ import annotations

from dataclasses import replace

from helpers.small_mesh import kernels
from weft.compiler.place.strip_layouts import (
    narrowest,
    placements,
    shapes_within,
    wafers_taken,
)


def test_shapes_are_those_fast_enough_also_turned():
    two = kernels([[(2, 6, 10), (1, 6, 20)]], 6, 8)
    shapes = shapes_within(two, 10)[0]
    assert sorted(zip(shapes.heights, shapes.widths, strict=True)) == [(2, 6), (6, 2)]
    upright = shapes_within(replace(two, features_on_columns=True), 20)[0]
    assert sorted(zip(upright.heights, upright.widths, strict=True)) == [(1, 6), (2, 6)]


def test_the_pipeline_runs_down_one_strip_and_up_the_next():
    """Four stages of 2 x 2 on 4 x 4, one in a row: two strips of two."""
    found = replace(kernels([[(2, 2, 10)]] * 4, 4, 4), features_on_columns=True)
    placed = placements(found, 10)[0].placed
    corners = [(one.region.row, one.region.column) for one in placed]
    assert corners == [(0, 0), (2, 0), (2, 2), (0, 2)]


def test_strips_that_do_not_fit_one_wafer_take_the_next():
    found = replace(kernels([[(4, 3, 10)]] * 2, 4, 3), features_on_columns=True)
    chain = replace(found, target=replace(found.target, wafers=2))
    assert wafers_taken(narrowest(chain, shapes_within(chain, 10)) or (), chain.target) == 2
    assert placements(found, 10) == []
    assert [one.region.wafer for one in placements(chain, 10)[0].placed] == [0, 1]
