"""The log-log charts and heat maps: where things are drawn, and that the roof holds."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from helpers import plans
from helpers.page_parts import dots_of
from weft.compiler.targets.constant import MachineConstant
from weft.sim import simulate
from weft.sim.page.loglog import Axes, roofline_svg

SVG = "{http://www.w3.org/2000/svg}"


def test_a_decade_is_a_decade_wherever_it_is():
    axes = Axes("x", "y", -2, 4, 0, 3)
    assert axes.x(100) - axes.x(10) == pytest.approx(axes.x(0.1) - axes.x(0.01))
    assert axes.y(1) - axes.y(10) == pytest.approx(axes.y(100) - axes.y(1000))


def test_no_stage_is_above_the_roof():
    plan = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)
    stages = tuple(replace(stage, macs_effective=20) for stage in plan.stages)
    rate = MachineConstant("compute.float32.macs_per_cycle", 4.0, "test", "assumed")
    plan = replace(plan, stages=stages, provenance=(*plan.provenance, rate))
    svg = roofline_svg(plan, simulate(plan, 100))
    roof = ElementTree.fromstring(svg).find("polyline[@class='roof']")
    assert roof is not None
    (x0, y0), (x1, y1), _ = (map(float, p.split(",")) for p in roof.get("points", "").split())
    dots = dots_of(svg)
    assert len(dots) == 3
    for x, y in dots:
        slope = y0 + (min(x, x1) - x0) * (y1 - y0) / (x1 - x0)
        assert y >= slope - 0.2  # pixels count downwards
