"""Combinations of axes, at random, from files."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.backend.errors import UserError
from weft.study.sweep.axes import parse_axis
from weft.study.sweep.points import file_points, grid_points, random_points

AXES = [parse_axis("a=[1,2]"), parse_axis("b=[x,y,z]")]


def test_a_grid_has_every_combination_once() -> None:
    points = grid_points(AXES)
    assert points[:2] == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}]
    assert len({tuple(point.values()) for point in points}) == len(points) == 6


def test_no_axis_is_one_point() -> None:
    assert grid_points([]) == [{}]


def test_random_points_follow_their_seed() -> None:
    axes = [*AXES, parse_axis("c=random(0:1)")]
    points = random_points(axes, 200, 1)
    assert points == random_points(axes, 200, 1) != random_points(axes, 200, 2)
    assert {point["b"] for point in points} == {"x", "y", "z"}
    assert 0.4 < sum(point["c"] for point in points) / 200 < 0.6


def test_a_random_axis_needs_a_count() -> None:
    with pytest.raises(UserError, match="--points"):
        grid_points([parse_axis("c=random(0:1)")])


def test_points_of_both_kinds_of_file(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("sparsity, epochs\n0.5,3\n0.25,4\n")
    (tmp_path / "p.jsonl").write_text('{"sparsity": 0.5, "epochs": 3}\n\n{"sparsity": 0.25}\n')
    expected = [{"sparsity": 0.5, "epochs": 3}, {"sparsity": 0.25, "epochs": 4}]
    assert file_points(tmp_path / "p.csv") == expected
    assert file_points(tmp_path / "p.jsonl") == [expected[0], {"sparsity": 0.25}]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.csv", "a,b\n1\n", "line 2: 2 values"),
        ("p.jsonl", '{"a": 1}\n[1]\n', "line 2: an object"),
        ("p.jsonl", "", "at least one point"),
    ],
)
def test_a_bad_file_is_named_with_its_line(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=words):
        file_points(tmp_path / name)


def test_too_many_points_are_refused() -> None:
    with pytest.raises(UserError, match="1 to"):
        grid_points([parse_axis("a=1:2000:1"), parse_axis("b=1:2000:1")])
