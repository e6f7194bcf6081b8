"""The page of a sweep says what its lines say, and its pictures lie where the values do."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from weft.study.sweep.front import Objective, pareto_front
from weft.study.sweep.page import page_of, varied_keys
from weft.study.sweep.pictures import Drawn, parallel_svg, scatter_svg
from weft.study.sweep.scale import scale_of

WANTED = [Objective("throughput_samples_per_s", True), Objective("pes", False)]


def line(number: int, throughput: float, pes: int, fits: bool = True) -> dict:
    overrides = {"target.clock_hz": 1e9 + number, "model": "mlp"}
    own = {"recipe": f"r{number}", "overrides": overrides, "fits": fits, "seconds": 0.1}
    if not fits:
        return own | {"reason": "stage <s00>: 9 bytes"}
    figures = {"latency_s": 1e-4, "wafers": 1, "memory_share": 0.5, "bound_by": f"link: s{number}"}
    ranked = {"throughput_samples_per_s": throughput, "pes": pes, "assumed": []}
    bars = {"throughput_samples_per_s": [throughput / 2, throughput * 2], "latency_s": [0, 1e-4]}
    return own | figures | ranked | {"error_bars": bars}


LINES = [line(0, 1000, 10), line(1, 2000, 20), line(2, 1500, 30), line(3, 0, 0, fits=False)]


def test_the_page_counts_and_lists_what_the_lines_say() -> None:
    page = page_of("mlp & co", LINES, pareto_front(LINES, WANTED), WANTED)
    assert "Sweep of mlp &amp; co" in page
    assert "4 points, 3 of them fit; no other beats 2 of these" in page
    assert "stage &lt;s00&gt;: 9 bytes" in page
    front, every = (part.split("</tbody>")[0] for part in page.split("<tbody>")[1:])
    assert [f"link: s{n}<" in front for n in (0, 1, 2)] == [True, True, False]
    assert all(f"link: s{n}<" in every for n in (0, 1, 2))


def test_a_sweep_without_a_point_that_fits_has_reasons_only() -> None:
    page = page_of("mlp", LINES[3:], [], WANTED)
    assert "<svg" not in page
    assert "stage &lt;s00&gt;" in page


def test_only_keys_with_several_values_are_columns() -> None:
    assert varied_keys(LINES) == ["target.clock_hz"]
    assert varied_keys([*LINES, {"overrides": {"sparsity": 0.5}}]) == [
        "target.clock_hz",
        "model",
        "sparsity",
    ]


@pytest.mark.parametrize(
    ("values", "is_log", "places"),
    [
        ([0, 5, 10], False, [0.0, 0.5, 1.0]),
        ([1, 10, 100], True, [0.0, 0.5, 1.0]),
        ([-1, 1], False, [0.0, 1.0]),
        ([3], False, [0.5]),
        ([0], False, [0.5]),
        (["a", "b"], False, [0.25, 0.75]),
        ([True, False], False, [0.25, 0.75]),
    ],
)
def test_values_lie_evenly_or_by_their_logarithm(values, is_log, places) -> None:
    scale = scale_of("x", values)
    assert scale.is_log == is_log
    assert [scale.at(value) for value in values] == pytest.approx(places)


def test_dots_and_lines_lie_where_their_values_do() -> None:
    points = [Drawn({"x": x, "y": y}, f"{x}", best) for x, y, best in ((0, 0, True), (4, 8, False))]
    x, y = scale_of("x", [0, 4]), scale_of("y", [0, 8])
    dots = ElementTree.fromstring(scatter_svg(points, x, y)).findall("circle")
    assert [dot.get("class") for dot in dots] == ["point", "point best"]
    assert float(dots[0].get("cx", 0)) > float(dots[1].get("cx", 0))
    assert float(dots[0].get("cy", 0)) < float(dots[1].get("cy", 0))
    tracks = ElementTree.fromstring(parallel_svg(points, [x, y])).findall("polyline")
    ends = [[float(pair.split(",")[1]) for pair in t.get("points", "").split()] for t in tracks]
    assert ends == [[40.0, 40.0], [420.0, 420.0]]
