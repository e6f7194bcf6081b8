"""Curves of a run: as many points as can be seen, and axes that hold them."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from weft.sim.event.recording import Slice
from weft.sim.page.charts import curve_svg, grouped, lines_svg, shares_svg, timeline_svg


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=900), st.integers(1, 40))
def test_groups_are_few_and_keep_the_mean(values: list[float], count: int):
    points = list(enumerate(values))
    found = grouped(points, count)
    assert len(found) <= count
    size = -(-len(values) // count)
    first = sum(values[:size]) / len(values[:size])
    assert abs(found[0][1] - first) <= 1e-9 * (1 + abs(first))
    assert min(values) - 1e-3 <= min(y for _, y in found)
    assert max(y for _, y in found) <= max(values) + 1e-3


def points_of(svg: str) -> list[list[tuple[float, ...]]]:
    lines = ElementTree.fromstring(svg).iter("polyline")
    return [
        [tuple(map(float, point.split(","))) for point in (line.get("points") or "").split()]
        for line in lines
    ]


def test_a_higher_value_lies_higher_and_everything_inside() -> None:
    svg = lines_svg({"a": [(0, 1.0), (50, 3.0)], "b": [(100, 2.0)]}, "two", "{:.1f}")
    ((left, low), (middle, high)), ((right, between),) = points_of(svg)
    assert left < middle < right
    assert high < between < low
    _, _, width, height = map(float, (ElementTree.fromstring(svg).get("viewBox") or "").split())
    assert right <= width
    assert low <= height
    assert svg.count("<text") == 8  # three at each axis, and a legend of two


def test_one_point_and_equal_values_have_a_picture() -> None:
    assert len(points_of(curve_svg([2.0], "loss"))[0]) == 1
    assert len(points_of(shares_svg([(0, 0.5), (10, 0.5)], "Sparsity"))[0]) == 2


def test_a_bar_says_the_cycles_of_the_table_and_a_phase_without_work_has_none() -> None:
    slices = [
        Slice("s00:a", "forward", 3, 0, 50, 50),
        Slice("s00:a", "backward", 1, 60, 100, 30),
        Slice("s01:add", "backward", 2, 10, 59, 0),
    ]
    svg = ElementTree.fromstring(timeline_svg(["s00:a", "s01:add"], slices, (0, 100)))
    assert [rect.findtext("title") for rect in svg.iter("rect")] == [
        "s00:a: forward of sample 3, 50 cycles",
        "s00:a: backward of sample 1, 30 cycles of work in 40, as rows come late",
    ]


def test_a_loss_that_falls_far_has_a_logarithmic_axis():
    svg = curve_svg([1.0, 0.1, 0.01], "loss")
    assert [height for _, height in points_of(svg)[0]] == [10, 110, 210]
    assert ">0.1<" in svg
    assert ">0.6<" in curve_svg([1.0, 0.5, 0.2], "loss"), "the middle of a linear axis"
    assert ">0.5<" in curve_svg([1.0, 0.0], "loss"), "zero has no logarithm"


def ticks_of(svg: str) -> list[str]:
    texts = [node.text or "" for node in ElementTree.fromstring(svg).iter("text")]
    return [text for text in texts if not text.startswith("sample")]


def test_an_axis_of_equal_values_says_three_numbers() -> None:
    assert ticks_of(shares_svg([(0, 0.9), (10, 0.9)], "Sparsity")) == ["94.5%", "90.0%", "85.5%"]
    assert ticks_of(shares_svg([(0, 1.0), (10, 1.0)], "Accuracy")) == ["100.0%", "97.5%", "95.0%"]
    assert ticks_of(curve_svg([0.0, 0.0], "Loss")) == ["1", "0", "-1"]
