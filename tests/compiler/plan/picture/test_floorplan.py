"""The wafer as a picture: every stage's region to scale, coloured by utilisation."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from helpers import plans
from weft.compiler.plan.picture.floorplan import HEIGHT, floorplan_svg, inset_svg, used_part
from weft.compiler.plan.stage_record import Rectangle

SVG = "{http://www.w3.org/2000/svg}"


PLAN = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)


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
    assert (min(numbers), max(numbers)) == (1, 399)
    assert max(b - a for a, b in pairwise(sorted(numbers))) <= 6


def test_the_heading_of_a_narrow_picture_is_not_cut():
    tall = plans.chain([(10, 20, 5)] * 90)
    stages = tuple(plans.moved(s, Rectangle(s.index, 0, 1, 1)) for s in tall.stages)
    plan = replace(tall, stages=stages, grid=(994, 750))
    svg = ElementTree.fromstring(floorplan_svg(plan, part=used_part(plan)))
    heading = max((t.text for t in svg.findall(f"{SVG}text")), key=len)
    assert float(svg.get("width", 0)) > 0.6 * 14 * len(heading)
