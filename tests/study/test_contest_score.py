"""The evaluator gives the numbers of the contest's worked example, and sees every broken rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.backend.errors import UserError
from weft.study.contest_picture import picture
from weft.study.contest_score import score

_INSTANCE = """(*
width=633
height=633
wdeltat=1
wlength=10
wadapter=100
memlimit=24576
*)
dblock[1] h=56 w=56 f=256 name='a'
cblock[2] h=56 w=56 f=512 name='b'
dblock[3] h=28 w=28 f=512 name='c'
dblock[1]:y -> cblock[2]:x, shape:[1]
cblock[2]:y -> dblock[3]:x, shape:[1]
"""
_SOLUTION = """a = dblock( 56 56 256 4 4 8 8 8 8 64 16 )
a : place(0 148 R0)
b = cblock( 56 56 512 4 4 8 8 8 8 32 32 8 19 )
b : place(150 0 R0)
c = dblock( 28 28 512 4 4 8 8 8 8 32 8 )
c : place(0 0 R90)
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    instance, solution = tmp_path / "a.kgraph", tmp_path / "a.solution"
    instance.write_text(_INSTANCE)
    solution.write_text(_SOLUTION)
    return instance, solution


def test_the_worked_example(files: tuple[Path, Path]) -> None:
    found = score(*files)
    assert [one.height for one in found.rectangles] == [144, 144, 144]
    assert [one.width for one in found.rectangles] == [264, 273, 144]
    assert [float(one.time) for one in found.rectangles] == [50176.0] * 3
    assert [one.memory for one in found.rectangles] == [3264, 6144, 4160]
    assert (found.time, found.distance) == (50176, 517)
    assert found.adapters == 2  # k 16 against c 8, and k 19 against c 8
    assert found.total == 50176 + 10 * 517 + 100 * 2


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("b : place(150 0", "b : place(140 0", "no overlap"),
        ("a : place(0 148", "a : place(400 148", "a inside 633 x 633 tiles"),
        ("a : place(0 148", "a : place(-1 148", "a inside 633 x 633 tiles"),
        ("c : place(0 0 R90)\n", "", "arguments and place of c"),
        ("28 28 512 4 4", "28 28 256 4 4", "formal arguments [28, 28, 512]"),
        ("28 28 512 4 4 8", "28 28 512 4 29 8", "w of c from 1 to 28"),
        ("8 8 8 8 32 8 )", "1 1 1 1 1 1 )", "at most 24,576 words per tile"),
        ("c = dblock( 28 28 512 4", "c = dblock( 28 28 512", "dblock with 11 numbers"),
        ("place(0 0 R90)", "place(0 0 R180)", "NAME : place(X Y R0|R90)"),
    ],
)
def test_broken_rules(files: tuple[Path, Path], old: str, new: str, expected: str) -> None:
    assert old in _SOLUTION
    files[1].write_text(_SOLUTION.replace(old, new))
    with pytest.raises(UserError) as raised:
        score(*files)
    assert expected in raised.value.expected


def test_the_picture_shows_every_kernel(files: tuple[Path, Path]) -> None:
    drawn = picture(score(*files))
    assert drawn.count("<title>") == 3
    assert drawn.count("<line") == 2
