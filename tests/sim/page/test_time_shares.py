"""Where the time goes, in words: each reason has a meaning, and a bar and its label agree."""

from __future__ import annotations

import re

import pytest
from helpers import plans
from weft.compiler.plan.text.numbers import percent
from weft.sim import simulate
from weft.sim.model.report import SimReport
from weft.sim.model.rows import ROUTING
from weft.sim.model.state import REASONS
from weft.sim.page.page import report_html
from weft.sim.page.time_shares import MEANINGS, largest_part, reasons

PLAN = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)


@pytest.fixture(scope="module")
def report() -> SimReport:
    return simulate(PLAN, 200)


def test_every_reason_has_a_meaning():
    assert set(MEANINGS) == {*REASONS, ROUTING, "unattributed"}


def test_only_what_a_run_has_is_explained(report):
    found = {name for name, _ in reasons(report)}
    assert found == {n for row in report.stages for n, cycles in row.idle_cycles.items() if cycles}
    assert [name for name, _ in reasons(simulate(PLAN, 200, "analytic"))] == ["unattributed"]


def test_the_label_is_the_widest_part_of_its_bar(report):
    """By the widths of the bar's parts as they stand in the page."""
    page = report_html(PLAN, report).partition("Where the time goes</h2>")[2]
    bars = re.findall(r'<div class="bar">(.*?)</div>\s*<span>(.*?)</span>', page, re.DOTALL)
    assert len(bars) == len(PLAN.stages)
    for (bar, label), row in zip(bars, report.stages, strict=True):
        assert label == largest_part(row, report.cycles)
        widths: dict[str, float] = {}
        for name, width in re.findall(r'<i class="(\w+)"[^>]*width:([\d.]+)%', bar):
            kind = "busy" if name in ("forward", "backward", "update") else name
            widths[kind] = widths.get(kind, 0.0) + float(width)
        widest = max(widths, key=lambda kind: widths[kind])
        assert label == f"{widest} {percent(widths[widest] / 100)}"
        assert sum(widths.values()) == pytest.approx(100, abs=0.1)
