"""A validation as one HTML page, without network."""

from __future__ import annotations

import re

from helpers.page_parts import point_of
from weft.sim.page.validation_page import validation_html
from weft.sim.validation.report import ValidationReport, summarise


def test_validation_page_says_every_number_and_needs_no_network():
    points = (point_of(1000, 1100), point_of(2000, 1900, "summa"))
    page = validation_html(ValidationReport(points, summarise(points), (), (), whole=False))
    for said in ("+10.0 %", "-5.0 %", "summa", "p=4 &lt;tile&gt;=2"):
        assert said in page
    assert not re.search(r"<(script|link|img|iframe)\b|https?://", page)
