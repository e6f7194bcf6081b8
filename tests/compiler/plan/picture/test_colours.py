"""Colours of the report's pictures, readable on light and dark pages."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from helpers import plans
from weft.compiler.plan.picture.colours import RAMP, ramp
from weft.compiler.plan.picture.floorplan import HEIGHT, floorplan_svg

SVG = "{http://www.w3.org/2000/svg}"


PLAN = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)


def test_regions_are_to_scale_and_coloured():
    svg = ElementTree.fromstring(floorplan_svg(PLAN, [0.0, 0.5, 1.0]))
    wafer = svg.find(f"{SVG}rect[@class='wafer']")
    regions = svg.findall(f"{SVG}rect[@class='region']")
    scale = HEIGHT / max(PLAN.grid)
    assert float(wafer.get("width")) == pytest.approx(PLAN.grid[1] * scale, abs=0.1)
    assert [r.get("fill") for r in regions] == [ramp(share)[0] for share in (0.0, 0.5, 1.0)]
    for drawn, stage in zip(regions, PLAN.stages, strict=True):
        assert float(drawn.get("width")) == pytest.approx(stage.region.width * scale, abs=0.1)
        assert float(drawn.get("height")) == pytest.approx(stage.region.height * scale, abs=0.1)
        assert drawn.find(f"{SVG}title").text.startswith(stage.id)


def test_the_ramp_goes_through_its_colours_with_readable_text():
    assert ramp(0.0)[0] == "#{:02x}{:02x}{:02x}".format(*RAMP[0])
    assert ramp(0.5)[0] == "#{:02x}{:02x}{:02x}".format(*RAMP[2])
    assert ramp(1.0)[0] == ramp(7.0)[0] == "#{:02x}{:02x}{:02x}".format(*RAMP[-1])
    assert ramp(0.0)[1] == "#ffffff"
    assert ramp(1.0)[1] == "#000000"
