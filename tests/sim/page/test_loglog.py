"""The log-log charts and heat maps: where things are drawn, and that the roof holds."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from helpers import plans
from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.plan.stage_record import Rectangle
from weft.compiler.targets.constant import Constant
from weft.sim import simulate
from weft.sim.page.colours import ramp
from weft.sim.page.heatmap import HEIGHT, heatmap_svg
from weft.sim.page.loglog import Axes, roofline_svg
from weft.sim.page.validation_page import validation_html
from weft.sim.page.validation_plot import points_svg
from weft.sim.validation.report import Point, ValidationReport, summarise

SVG = "{http://www.w3.org/2000/svg}"


def _point(measured: float, simulated: float, set_name: str = "gemm") -> Point:
    return Point(set_name, "mesh_gemm", "cycles", "p=4 <tile>=2", measured, simulated, False)


def _dots(svg: str) -> list[tuple[float, float]]:
    """Centres of the points; the legend's circles have no title."""
    found = ElementTree.fromstring(svg).findall("circle")
    return [
        (float(c.get("cx", 0)), float(c.get("cy", 0))) for c in found if c.find("title") is not None
    ]


@given(st.floats(1.01, 9e5), st.floats(1.01, 9e5))
def test_a_point_is_above_the_diagonal_exactly_if_simulated_is_more(measured, simulated):
    """The diagonal goes from the lower left to the upper right corner of the axes."""
    corners = [_point(1, 1), _point(1e6, 1e6)]
    (x0, y0), (x1, y1), (x, y) = _dots(points_svg([*corners, _point(measured, simulated)]))
    on_line = y0 + (x - x0) * (y1 - y0) / (x1 - x0)
    distance = math.log10(simulated / measured) / 6 * (y0 - y1)
    assert on_line - y == pytest.approx(distance, abs=0.2)


def test_a_decade_is_a_decade_wherever_it_is():
    axes = Axes("x", "y", -2, 4, 0, 3)
    assert axes.x(100) - axes.x(10) == pytest.approx(axes.x(0.1) - axes.x(0.01))
    assert axes.y(1) - axes.y(10) == pytest.approx(axes.y(100) - axes.y(1000))


def test_no_stage_is_above_the_roof():
    plan = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)
    stages = tuple(replace(stage, macs_effective=20) for stage in plan.stages)
    rate = Constant("compute.float32.macs_per_cycle", 4.0, "test", "assumed")
    plan = replace(plan, stages=stages, provenance=(*plan.provenance, rate))
    svg = roofline_svg(plan, simulate(plan, 100))
    roof = ElementTree.fromstring(svg).find("polyline[@class='roof']")
    assert roof is not None
    (x0, y0), (x1, y1), _ = (map(float, p.split(",")) for p in roof.get("points", "").split())
    dots = _dots(svg)
    assert len(dots) == 3
    for x, y in dots:
        slope = y0 + (min(x, x1) - x0) * (y1 - y0) / (x1 - x0)
        assert y >= slope - 0.2  # pixels count downwards


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


def test_validation_page_says_every_number_and_needs_no_network():
    points = (_point(1000, 1100), _point(2000, 1900, "summa"))
    page = validation_html(ValidationReport(points, summarise(points), (), (), whole=False))
    for said in ("+10.0 %", "-5.0 %", "summa", "p=4 &lt;tile&gt;=2"):
        assert said in page
    assert not re.search(r"<(script|link|img|iframe)\b|https?://", page)
