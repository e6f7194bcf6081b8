"""Small instances in the contest's syntax, made here."""

from __future__ import annotations

from pathlib import Path

CHAIN = """(*
test=chain
width={columns}
height={rows}
wdeltat=1
wlength={wire}
wadapter=0
memlimit=24576
*)

(* nodes *)
input[ 0] n=[56 56 64] name='k0'
dblock[1] h=56 w=56 f=256 name='a'
cblock[ 2] h=56 w=56 f=512 name='b'
dblock[3] f=512 h=28 w=28 name='c'
conv[4] W=28 H=28 R=3 S=3 C=64 K=128 T=2 U=2 name='d'
output[5] n=[1] name='k5'

(* edges *)
input[0]:_ -> dblock[1]:x, shape:[56][56][64]
dblock[1]:y	->	cblock[2]:x, shape:[1]
cblock[2]:y -> dblock[3]:x, shape:[1]
dblock[3]:y -> conv[4]:x, shape:[1]
conv[4]:y -> output[5]:_, shape:[1]
"""


def written(folder: Path, columns: int = 300, rows: int = 280, wire: int = 1) -> Path:
    """A chain of four kernels on a wafer of this size."""
    path = folder / "chain.kgraph"
    path.write_text(CHAIN.format(columns=columns, rows=rows, wire=wire))
    return path
