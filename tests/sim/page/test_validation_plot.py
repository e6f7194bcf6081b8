"""The plot of a validation: every measured number against the simulated one."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.sim.page.validation_plot import points_svg
from weft.sim.validation.report import MeasuredPoint


def _point(measured: float, simulated: float, set_name: str = "gemm") -> MeasuredPoint:
    return MeasuredPoint(
        set_name, "mesh_gemm", "cycles", "p=4 <tile>=2", measured, simulated, False
    )


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
