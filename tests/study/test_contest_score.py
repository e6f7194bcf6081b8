"""The evaluator gives the numbers of the contest's worked example, and sees every broken rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.contest_example import SOLUTION
from weft.backend.errors import UserError
from weft.study.contest_score import score


def test_the_worked_example(files: tuple[Path, Path]) -> None:
    found = score(*files)
    assert [one.height for one in found.rectangles] == [144, 144, 144]
    assert [one.width for one in found.rectangles] == [264, 273, 144]
    assert [float(one.time) for one in found.rectangles] == [50176.0] * 3
    assert [one.memory for one in found.rectangles] == [3264, 6144, 4160]
    assert (found.time, found.distance) == (50176, 517)
    assert found.adapters == 2  # k 16 against c 8, and k 19 against c 8
    assert found.total == 50176 + 10 * 517 + 100 * 2


def test_instances_are_read_as_the_placer_reads_them(files: tuple[Path, Path]) -> None:
    """Spaces, capitals, exponents, and names that look like arguments."""
    before, text = score(*files), files[0].read_text()
    for old, new in (
        ("wlength=10", "wlength = 1e1"),
        ("h=56 w=56 f=256 name='a'", "NAME = 'h=9' H = 56 w =56 f= 256"),
        ("dblock[1]:y -> ", "dblock [ 1 ] : y->"),
    ):
        assert old in text
        text = text.replace(old, new)
    files[0].write_text(text)
    files[1].write_text(SOLUTION.replace("a =", "h=9 =").replace("a :", "h=9 :"))
    found = score(*files)
    assert (found.total, found.distance) == (before.total, before.distance)


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
        ("c : place", "d : place(0 0 R0)\nc : place", "a kernel of the instance"),
        ("c : place", "b : place(0 0 R0)\nc : place", "one such line for b"),
        ("c = dblock(", "a = dblock( 56 56 256 4 4 8 8 8 8 64 16 )\nc = dblock(", "one such line"),
    ],
)
def test_broken_rules(files: tuple[Path, Path], old: str, new: str, expected: str) -> None:
    assert old in SOLUTION
    files[1].write_text(SOLUTION.replace(old, new))
    with pytest.raises(UserError) as raised:
        score(*files)
    assert expected in raised.value.expected
