"""The page and its pictures: complete, to scale, well-formed, without network."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from statistics import median

import pytest
from helpers import plans
from weft.compiler.plan.evidence import kernel_rows
from weft.sim import simulate
from weft.sim.page.page import RunCurve, report_html, write_report

PLAN = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)
RUN = RunCurve(tuple(2.0 - i / 1000 for i in range(1000)), 420.0, 0.9651, "jax")
VOID = {"meta", "br"}


class Balanced(HTMLParser):
    """Fails on a tag that is closed out of turn; collects the text."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def text_of(page):
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    return " ".join(" ".join(parser.text).split())


@pytest.mark.parametrize("level", ["event", "analytic"])
def test_page_is_balanced_and_says_what_the_report_says(level):
    report = simulate(PLAN, 200, level)
    text = text_of(report_html(PLAN, report, RUN))
    for said in ("12.5 M samples/s", "every 80 cycles", "96.5 %", "420 samples/s", "Training loss"):
        assert said in text
    for stage in PLAN.stages:
        assert stage.id in text
        assert f"{stage.memory_per_pe.total_bytes:,} B" in text
    for constant in PLAN.provenance:
        assert constant.name in text


def test_page_needs_no_network():
    page = report_html(PLAN, simulate(PLAN, 200), RUN)
    addresses = set(re.findall(r"https?://[^\"' )]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|img|iframe)\b|@import|url\((?!#)|\bsrc=|fetch\(|import\(", page)


def test_without_a_run_there_is_no_curve():
    text = text_of(report_html(PLAN, simulate(PLAN, 200)))
    assert "Training" not in text
    assert "test accuracy" not in text


def test_a_measured_machine_has_its_measurements():
    assert "Can it be believed?" not in report_html(PLAN, simulate(PLAN, 50))
    of_wse2 = replace(PLAN, target="wse2")
    text = text_of(report_html(of_wse2, simulate(of_wse2, 50)))
    rows = kernel_rows("wse2")
    error = median(abs(row.error) for row in rows)
    assert f"{len(rows)} numbers, median error {error * 100:.1f} %" in text


def test_accuracies_are_a_curve():
    run = replace(RUN, accuracies=((0, 0.1), (500, 0.8), (1000, 0.9651)))
    page = report_html(PLAN, simulate(PLAN, 200), run)
    assert "96.5%" in text_of(page)
    assert "sample 500" in text_of(page)


def test_names_are_escaped():
    odd = replace(PLAN, model="<script>net</script>")
    page = report_html(odd, simulate(odd, 50))
    assert "<script>net" not in page
    assert "<script>net</script>" in text_of(page)


def test_a_deadlock_is_shown_with_its_waits():
    edges = [plans.edge(-1, 0, 8), *(plans.edge(i, i + 1, 8, 8) for i in range(3))]
    stuck = plans.plan([(10, 10, 10)] * 4, [*edges, plans.edge(0, 3, 8, 8, depth=1)])
    report = simulate(stuck, 100)
    text = text_of(report_html(stuck, report))
    assert "Deadlock." in text
    assert all(str(wait) in text for wait in report.deadlock)


def test_page_is_written_whole(tmp_path):
    write_report(PLAN, simulate(PLAN, 50), tmp_path / "report.html")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
