"""The page and its pictures: complete, to scale, well-formed, without network."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from helpers import plans
from weft.compiler.plan.stage_record import Rectangle
from weft.sim import simulate
from weft.sim.page.colours import RAMP, ramp
from weft.sim.page.floorplan import HEIGHT, floorplan_svg, inset_svg, used_part
from weft.sim.page.page import RunCurve, report_html, write_report

SVG = "{http://www.w3.org/2000/svg}"
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


def test_every_stage_is_numbered_once_and_numbers_in_the_margin_do_not_overlap():
    """40 regions of one PE each on a big wafer: all numbers go to the margins."""
    tiny = plans.chain([(10, 20, 5)] * 40)
    stages = tuple(
        plans.moved(s, Rectangle(500 + s.index % 3, 5 * s.index, 1, 1)) for s in tiny.stages
    )
    svg = ElementTree.fromstring(floorplan_svg(replace(tiny, stages=stages, grid=(994, 750))))
    numbers = [t for t in svg.findall(f"{SVG}text") if t.text.isdigit()]
    assert sorted(int(t.text) for t in numbers) == list(range(40))
    for side in {t.get("text-anchor") for t in numbers}:
        heights = sorted(float(t.get("y")) for t in numbers if t.get("text-anchor") == side)
        assert all(b - a >= 10.9 for a, b in pairwise(heights))


def test_the_used_part_is_drawn_larger_and_framed_on_the_wafer():
    wide = replace(PLAN, grid=(200, 300))
    part = used_part(wide)
    assert part == Rectangle(0, 0, 4, 28)
    svg = ElementTree.fromstring(floorplan_svg(wide, [0.0, 0.5, 1.0], part))
    drawn = svg.findall(f"{SVG}rect[@class='region']")
    assert float(drawn[0].get("width")) == pytest.approx(8 * HEIGHT / 28, abs=0.1)
    frame = ElementTree.fromstring(inset_svg(wide, part)).find("rect[@class='frame']")
    assert float(frame.get("width")) == pytest.approx(28 * 130 / 300, abs=0.1)


def test_most_of_a_wafer_is_no_part():
    assert used_part(replace(PLAN, grid=(4, 30))) is None


def test_too_many_numbers_for_a_margin_are_those_of_the_largest_regions():
    many = plans.chain([(10, 20, 5)] * 400)
    stages = tuple(plans.moved(s, Rectangle(s.index, 0, 1, 1 + s.index % 2)) for s in many.stages)
    svg = ElementTree.fromstring(floorplan_svg(replace(many, stages=stages, grid=(994, 750))))
    numbers = [int(t.text) for t in svg.findall(f"{SVG}text") if t.text.isdigit()]
    assert len(numbers) == int(994 * HEIGHT / 994 / 11)
    assert all(number % 2 for number in numbers)


def test_the_ramp_goes_through_its_colours_with_readable_text():
    assert ramp(0.0)[0] == "#{:02x}{:02x}{:02x}".format(*RAMP[0])
    assert ramp(0.5)[0] == "#{:02x}{:02x}{:02x}".format(*RAMP[2])
    assert ramp(1.0)[0] == ramp(7.0)[0] == "#{:02x}{:02x}{:02x}".format(*RAMP[-1])
    assert ramp(0.0)[1] == "#ffffff"
    assert ramp(1.0)[1] == "#111111"
