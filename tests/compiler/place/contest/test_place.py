"""Placements are valid by an evaluator that shares nothing with the placer, and repeat."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from weft.backend.errors import InfeasibleError
from weft.compiler.place.contest import bounds, place_instance, read_instance, solution_text
from weft.study.contest_score import score

from .instances import instance_texts, written


def test_a_placement_is_valid_repeats_and_is_no_better_than_the_bounds(tmp_path: Path) -> None:
    path = written(tmp_path)
    read = read_instance(path)
    texts = [solution_text(read, place_instance(read, rounds=2, seed=3)) for _ in range(2)]
    assert texts[0] == texts[1]
    solution = tmp_path / "chain.solution"
    solution.write_text(texts[0])
    scored, least = score(path, solution), bounds(read)
    assert least.time <= scored.time
    assert least.total <= scored.total
    assert scored.total <= 1.2 * least.total


def test_distance_shortens_when_it_weighs(tmp_path: Path) -> None:
    found = []
    for wire in (0, 1000):
        path = written(tmp_path, wire=wire)
        solution = tmp_path / f"{wire}.solution"
        read = read_instance(path)
        solution.write_text(solution_text(read, place_instance(read, rounds=2)))
        found.append(score(path, solution))
    assert found[0].time < found[1].time
    assert found[0].distance > found[1].distance


@pytest.mark.parametrize("wire", [0, 3])
def test_time_may_weigh_nothing(tmp_path: Path, wire: int) -> None:
    """Then the wires alone decide, or nothing does, and what is too high still costs."""
    path, solution = written(tmp_path, wire=wire), tmp_path / "chain.solution"
    path.write_text(path.read_text().replace("wdeltat=1", "wdeltat=0"))
    read = read_instance(path)
    solution.write_text(solution_text(read, place_instance(read, rounds=1)))
    scored = score(path, solution)
    assert scored.total == wire * scored.distance
    assert scored.total >= bounds(read).total


def test_what_cannot_fit_is_said_kernel_by_kernel(tmp_path: Path) -> None:
    read = read_instance(written(tmp_path, columns=8, rows=9))
    with pytest.raises(InfeasibleError) as raised:
        place_instance(read, rounds=1)
    assert raised.value.expected == "at most 72 tiles"
    assert "a (dblock)" in raised.value.report


def test_areas_that_fit_without_a_packing_are_not_called_too_large(tmp_path: Path) -> None:
    """Four rectangles of 2 x 3 lie on 5 x 5 tiles around the middle one, which no cut leaves."""
    header = "(*\nwidth=5\nheight=5\nwdeltat=1\nwlength=0\nwadapter=0\nmemlimit=9\n*)\n"
    nodes = [f"conv[{k}] H=1 W=1 R=1 S=1 C=1 K=1 T=1 U=1 name='k{k}'\n" for k in range(4)]
    path = tmp_path / "wheel.kgraph"
    path.write_text(header + "".join(nodes))
    with pytest.raises(InfeasibleError) as raised:
        place_instance(read_instance(path), rounds=1)
    assert raised.value.expected == "rectangles side by side on 25 tiles"
    assert raised.value.got == "none found; 24 tiles in the smallest shapes"


@settings(max_examples=12, deadline=None, derandomize=True)
@given(instance_texts())
def test_any_network_is_placed_by_the_rules_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """Overlap, edges of the wafer, memory and arguments are looked at by the evaluator."""
    folder = tmp_path_factory.mktemp("any")
    path, solution = folder / "any.kgraph", folder / "any.solution"
    path.write_text(text)
    read = read_instance(path)
    try:
        solution.write_text(solution_text(read, place_instance(read, seconds=0)))
    except InfeasibleError:
        return
    scored, least = score(path, solution), bounds(read)
    assert least.time <= scored.time
    assert least.total <= scored.total + 1e-9
