"""Contrast of all text of the pages as the browser computes its colours, at level AA."""

from __future__ import annotations

import pytest
from helpers import plans
from helpers.browser import BROWSER, CONTRASTS, asked
from weft.sim import simulate
from weft.sim.page.page import write_report

LEAST = 4.5
"""Web Content Accessibility Guidelines 2.1, 1.4.3, of small text."""
PLAN = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)


@pytest.mark.skipif(not BROWSER, reason="no chromium on this machine")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1400, 400])
def test_all_text_can_be_read(tmp_path, dark, width):
    page = tmp_path / "page.html"
    write_report(PLAN, simulate(PLAN, 50), page)
    found = asked(page, CONTRASTS, width, dark)
    assert len(found) > 100
    assert [row for row in found if row[0] < LEAST] == []


@pytest.mark.skipif(not BROWSER, reason="no chromium on this machine")
def test_faint_text_is_found(tmp_path):
    page = tmp_path / "page.html"
    faint = "<p style='color:#999'>faint</p><svg><rect width='99' height='30' fill='#000'/>"
    faint += "<text y='20' fill='#333'>dark</text></svg><p style='color:#777'>hardly</p>"
    page.write_text(f"<!doctype html><body style='background:#fff'>{faint}</body>")
    assert [round(row[0], 2) for row in asked(page, CONTRASTS)] == [2.85, 1.66, 4.48]
