"""The page of a sweep says what its lines say, and its pictures lie where the values do."""

from __future__ import annotations

from weft.study.sweep.front import Objective, pareto_front
from weft.study.sweep.page import page_of, varied_keys

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
    assert "4 points, 3 of them fit; 2 of these no other beats" in page
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
