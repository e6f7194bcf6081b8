"""A validation as one HTML page, without network."""

from __future__ import annotations

import re

from weft.sim.page.validation_page import validation_html
from weft.sim.validation.report import MeasuredPoint, ValidationReport, summarise


def _point(measured: float, simulated: float, set_name: str = "gemm") -> MeasuredPoint:
    return MeasuredPoint(
        set_name, "mesh_gemm", "cycles", "p=4 <tile>=2", measured, simulated, False
    )


def test_validation_page_says_every_number_and_needs_no_network():
    points = (_point(1000, 1100), _point(2000, 1900, "summa"))
    page = validation_html(ValidationReport(points, summarise(points), (), (), whole=False))
    for said in ("+10.0 %", "-5.0 %", "summa", "p=4 &lt;tile&gt;=2"):
        assert said in page
    assert not re.search(r"<(script|link|img|iframe)\b|https?://", page)
