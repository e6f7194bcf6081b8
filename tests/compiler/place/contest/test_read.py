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
        ("width=300", "width=0", 3, "width of at least 1"),
        ("width=300", "width=300.5", 3, "width as a whole number"),
        ("width=300", "width=9000", 3, "width of at most 8,000"),
        ("width=300", "width=3_00", 3, "width=number"),
        ("width=300", "width=300\nwidth=300", 4, "width once"),
        ("memlimit=24576", "memlimit=1e999", 8, "memlimit as a whole number"),
        ("wlength=1", "wlength=inf", 6, "wlength=number"),
        ("wlength=1", "wlength=nan", 6, "wlength=number"),
        ("wlength=1", "wlength=1e999", 6, "wlength as a finite number"),
        ("wadapter=0", "wadapter=-1", 7, "wadapter of at least 0"),
        ("memlimit=24576\n*)", "memlimit=24576", 1, "*) for the comment that begins"),
        ("(* nodes *)", "(* nodes", 11, "*) for the comment that begins"),
        ("(* nodes *)", "nodes *)", 11, "(* before *)"),
        ("conv[4]:y -> output[5]:_, shape:[1]\n", "(* end", 24, "*) for the comment that begins"),
        ("dblock[1] h=56", "block[1] h=56", 13, "one of conv, dblock, cblock"),
        ("h=56 w=56 f=256 name='a'", "h=56 f=256 name='a'", 13, "W=number for dblock[1]"),
        ("R=3 S=3 C=64", "R=0 S=3 C=64", 16, "R of at least 1"),
        ("R=3 S=3 C=64", "R=-3 S=3 C=64", 16, "R of at least 1"),
        ("R=3 S=3 C=64", "R=3.5 S=3 C=64", 16, "R=number for conv[4], whole"),
        ("R=3 S=3 C=64", "R=three S=3 C=64", 16, "R=number for conv[4], whole"),
        ("R=3 S=3 C=64", "R=3 S=3 C=9999999", 16, "C of at most 65,536"),
        ("R=3 S=3 C=64", "R=3 r=3 S=3 C=64", 16, "r once"),
        ("R=3 S=3 C=64", "R=3 S=3 64", 16, "KEY=VALUE pairs"),
        ("R=3 S=3 C=64", "R=3 S= C=64", 16, "KEY=VALUE pairs"),
        ("dblock[3] f=512", "dblock[1] f=512", 15, "an index that no node before has"),
        ("f=512 name='b'", "f=512", 14, "name='...'"),
        ("f=512 name='b'", "f=512 name=''", 14, "name='...'"),
        ("f=512 name='b'", "f=512 name='b", 14, "KEY=VALUE pairs"),
        ("f=512 name='b'", "f=512 name='the b'", 14, "name='...' without spaces"),
        ("f=512 name='b'", "f=512 name='a->b'", 14, "name='...' without spaces"),
        ("f=512 name='b'", "f=512 name='a'", 14, "a name that no kernel before has"),
        ("cblock[2]:y -> dblock[3]:x", "cblock[2]:y -> dblock[7]:x", 22, "a node dblock[7] above"),
        ("cblock[2]:y -> dblock[3]:x", "cblock[2]:y -> conv[3]:x", 22, "a node conv[3] above"),
        ("cblock[2]:y -> dblock[3]:x", "cblock[2] -> dblock[3]:x", 22, "TYPE[INDEX]:PORT"),
        ("cblock[2]:y -> dblock[3]:x", "cblock[2]:y => dblock[3]:x", 22, "TYPE[INDEX]:PORT"),
        ("cblock[2]:y -> dblock[3]:x", "cblock[2]:y - dblock[3]:x", 22, "TYPE[INDEX]:PORT"),
        ("cblock[2]:y -> dblock[3]:x", "cblock[2] => dblock[3]", 22, "TYPE[INDEX]:PORT"),
        ("cblock[2]:y -> dblock[3]:x", "cblock[2], dblock[3]", 22, "TYPE[INDEX]:PORT"),
        ("cblock[2]:y -> dblock[3]:x", "cblock2:y -> dblock[3]:x", 22, "TYPE[INDEX]:PORT"),
        ("cblock[2]:y -> dblock[3]:x", "cblock[two]:y -> dblock[3]:x", 22, "TYPE[INDEX]:PORT"),
        ("dblock[3]:x, shape", "dblock[3]:x conv[4]:x, shape", 22, "TYPE[INDEX]:PORT"),
        ("(* nodes *)", "nodes", 11, "TYPE[INDEX] arguments"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, expected: str
) -> None:
    """Each kind of mistake, in the header, in nodes, in edges."""
    text = CHAIN.format(columns=300, rows=280, wire=1)
    assert old in text
    path = tmp_path / "bad.kgraph"
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError) as raised:
        read_instance(path)
    assert raised.value.where == f"{path}:{line}"
    assert expected in raised.value.expected


def test_spaces_orders_and_capitals_are_free(tmp_path: Path) -> None:
    path = written(tmp_path)
    before, text = read_instance(path), path.read_text()
    for old, new in (
        ("h=56 w=56 f=256 name='a'", "name = 'a', F = 256, W= 56 , H =56"),
        ("dblock[1]:y\t->\tcblock[2]:x, shape:[1]", "dblock [ 1 ] : y->cblock[ 2 ]:x"),
        (" T=2 U=2", " t=2 groups=1"),
        ("wdeltat=1", "wdeltat = 1.0e0"),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_instance(path) == before


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.kgraph"):
        read_instance(tmp_path / "none.kgraph")
