"""Dots and lines lie where their values do."""

from __future__ import annotations

from xml.etree import ElementTree

from weft.study.sweep.pictures import Drawn, parallel_svg, said_of, scatter_svg
from weft.study.sweep.scale import scale_of


def test_dots_and_lines_lie_where_their_values_do() -> None:
    points = [Drawn({"x": x, "y": y}, f"{x}", best) for x, y, best in ((0, 0, True), (4, 8, False))]
    x, y = scale_of("x", [0, 4]), scale_of("y", [0, 8])
    dots = ElementTree.fromstring(scatter_svg(points, x, y)).findall("circle")
    assert [dot.get("class") for dot in dots] == ["point", "point best"]
    assert float(dots[0].get("cx", 0)) > float(dots[1].get("cx", 0))
    assert float(dots[0].get("cy", 0)) < float(dots[1].get("cy", 0))
    tracks = ElementTree.fromstring(parallel_svg(points, [x, y])).findall("polyline")
    ends = [[float(pair.split(",")[1]) for pair in t.get("points", "").split()] for t in tracks]
    assert ends == [[54.0, 54.0], [434.0, 434.0]]


def test_figures_have_names_for_readers_and_keys_their_own() -> None:
    assert said_of("throughput_samples_per_s") == "samples/s"
    assert said_of("target.clock_hz") == "target.clock_hz"
