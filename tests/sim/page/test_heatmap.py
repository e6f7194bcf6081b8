"""The used part of a wafer as a small heat map: regions to scale, coloured by a share per stage."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from helpers import plans
from weft.compiler.plan.picture.colours import ramp
from weft.compiler.plan.stage_record import Rectangle
from weft.sim.page.heatmap import HEIGHT, heatmap_svg


def test_heat_map_is_to_scale():
    plan = plans.chain([(10, 20, 5), (30, 40, 10)])
    drawn = ElementTree.fromstring(heatmap_svg(plan, [0.25, 1.0], "memory")).findall(
        "rect[@class='heat']"
    )
    assert [rect.get("fill") for rect in drawn] == [ramp(0.25)[0], ramp(1.0)[0]]
    scale = HEIGHT / 18  # columns 0 to 17 are in use
    for rect, stage in zip(drawn, plan.stages, strict=True):
        assert float(rect.get("x", 0)) - 1 == pytest.approx(stage.region.column * scale, abs=0.1)


def test_heat_map_shows_the_used_part_of_wafers_side_by_side():
    plan = plans.chain([(10, 20, 5), (30, 40, 10)])
    far = plans.moved(plan.stages[1], Rectangle(3, 5, 4, 8, wafer=1))
    svg = ElementTree.fromstring(
        heatmap_svg(replace(plan, stages=(plan.stages[0], far), wafers=2), [0.1, 0.2], "memory")
    )
    first, second = (float(r.get("x", 0)) for r in svg.findall("rect[@class='heat']"))
    columns = plan.grid[1] + 5 + 8
    assert second - first == pytest.approx((plan.grid[1] + 5) * HEIGHT / columns, abs=0.1)
    assert f"rows 0 to 6, columns 0 to {columns - 1}" in [t.text for t in svg.findall("text")]
