"""Placements are valid by an evaluator that shares nothing with the placer, and repeat."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.backend.errors import InfeasibleError
from weft.compiler.place.contest import bounds, place_instance, read_instance, solution_text
from weft.study.contest_score import score

from .instances import written


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


def test_what_cannot_fit_is_said_kernel_by_kernel(tmp_path: Path) -> None:
    read = read_instance(written(tmp_path, columns=8, rows=9))
    with pytest.raises(InfeasibleError) as raised:
        place_instance(read, rounds=1)
    assert raised.value.expected == "at most 72 tiles"
    assert "a (dblock)" in raised.value.report
