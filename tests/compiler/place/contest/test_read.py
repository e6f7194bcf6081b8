"""Files are read as they are written, and what is wrong is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from weft.backend.errors import UserError
from weft.compiler.place.contest import read_instance

from .instances import CHAIN, written


def test_everything_is_read(tmp_path: Path) -> None:
    read = read_instance(written(tmp_path))
    assert (read.columns, read.rows, read.memory_limit, read.wire_weight) == (300, 280, 24576, 1)
    assert [kernel.name for kernel in read.kernels] == ["a", "b", "c", "d"]
    assert read.edges == ((0, 1), (1, 2), (2, 3))
    assert read.kernels[0].convolutions[1].C == 64
    assert [one.T for one in read.kernels[1].convolutions] == [1, 2, 1, 2]
    assert read.kernels[3].formal["S"] == 3


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("wdeltat=1\n", "", 1, "wdeltat=number"),
        ("memlimit=24576", "memlimit=much", 8, "memlimit=number"),
        ("width=300", "width=0", 1, "width of at least 1"),
        ("dblock[1] h=56", "block[1] h=56", 13, "one of conv, dblock, cblock"),
        ("h=56 w=56 f=256 name='a'", "h=56 f=256 name='a'", 13, "W=number for dblock[1]"),
        ("R=3 S=3 C=64", "R=0 S=3 C=64", 16, "R of at least 1"),
        ("dblock[3] f=512", "dblock[1] f=512", 15, "an index that no node before has"),
        ("f=512 name='b'", "f=512", 14, "name='...'"),
        ("cblock[2]:y -> dblock[3]:x", "cblock[2]:y -> dblock[7]:x", 22, "a node dblock[7] above"),
        ("cblock[2]:y -> dblock[3]:x", "cblock[2]:y -> conv[3]:x", 22, "a node conv[3] above"),
        ("cblock[2]:y -> dblock[3]:x", "cblock[2] -> dblock[3]:x", 22, "TYPE[INDEX]:PORT"),
        ("(* nodes *)", "nodes", 11, "TYPE[INDEX] arguments"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, expected: str
) -> None:
    text = CHAIN.format(columns=300, rows=280, wire=1)
    assert old in text
    path = tmp_path / "bad.kgraph"
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError) as raised:
        read_instance(path)
    assert raised.value.where == f"{path}:{line}"
    assert expected in raised.value.expected


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.kgraph"):
        read_instance(tmp_path / "none.kgraph")
