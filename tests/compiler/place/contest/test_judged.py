"""Random instances, impossible ones too, before a judge that counts tile by tile.

A thousand are judged by `PYTHONPATH=tests python -m helpers.judge.contest 0 1000`; here some.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.contest_example import SOLUTION
from helpers.judge.contest import Drawn, judged, outcome

EXAMPLE = Drawn(
    {"width": 633, "height": 633, "wdeltat": 1, "wlength": 10, "wadapter": 100, "memlimit": 24576},
    (
        ("dblock", {"H": 56, "W": 56, "F": 256}, "a"),
        ("cblock", {"H": 56, "W": 56, "F": 512}, "b"),
        ("dblock", {"H": 28, "W": 28, "F": 512}, "c"),
    ),
    ((0, 1), (1, 2)),
    "",
)


def test_the_judge_gives_the_numbers_of_the_worked_example() -> None:
    found = judged(EXAMPLE, SOLUTION)
    assert (found.time, found.distance, found.adapters, found.faults) == (50176, 517, 2, ())
    assert found.total == 50176 + 10 * 517 + 100 * 2


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("b : place(150", "b : place(140", "c lies on b"),
        ("a : place(0", "a : place(400", "a leaves the wafer"),
        ("8 8 8 8 32 8 )", "1 1 1 1 1 1 )", "c holds"),
        ("56 56 256 4 4", "56 56 256 57 4", "arguments of a are out of range"),
        ("56 56 256 4 4", "56 56 128 4 4", "a is another kernel"),
    ],
)
def test_the_judge_sees_what_is_planted(old: str, new: str, fault: str) -> None:
    assert old in SOLUTION
    assert any(fault in one for one in judged(EXAMPLE, SOLUTION.replace(old, new)).faults)


@pytest.mark.parametrize("part", range(6))
def test_instances_are_placed_scored_and_refused_by_the_rules(part: int, tmp_path: Path) -> None:
    ends = set()
    for seed in range(1 + 10 * part, 5 + 10 * part):
        end, wrong = outcome(seed, tmp_path)
        assert wrong == [], seed
        ends.add(end)
    assert "placed" in ends


def test_a_search_may_have_nothing_to_begin_with(tmp_path: Path) -> None:
    """Three kernels that fill all but 36 of 2,490 tiles: no rows, sections or runs of them do."""
    assert outcome(190, tmp_path) == ("nothing found", [])
