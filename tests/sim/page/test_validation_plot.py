"""The plot of a validation: every measured number against the simulated one."""

from __future__ import annotations

import math

import pytest
from helpers.page_parts import dots_of, point_of
from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.plan.evidence import kernel_rows
from weft.sim.page.validation_plot import points_svg, rows_svg


@given(st.floats(1.01, 9e5), st.floats(1.01, 9e5))
def test_a_point_is_above_the_diagonal_exactly_if_simulated_is_more(measured, simulated):
    """The diagonal goes from the lower left to the upper right corner of the axes."""
    corners = [point_of(1, 1), point_of(1e6, 1e6)]
    (x0, y0), (x1, y1), (x, y) = dots_of(points_svg([*corners, point_of(measured, simulated)]))
    on_line = y0 + (x - x0) * (y1 - y0) / (x1 - x0)
    distance = math.log10(simulated / measured) / 6 * (y0 - y1)
    assert on_line - y == pytest.approx(distance, abs=0.2)


def test_rows_that_come_with_weft_have_a_dot_each():
    rows = kernel_rows("wse2")
    assert len(dots_of(rows_svg(rows))) == len(rows)
    assert rows_svg(kernel_rows("tiny_mesh")) == ""
