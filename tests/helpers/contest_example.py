"""The contest's worked example."""

from __future__ import annotations

INSTANCE = """(*
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


SOLUTION = """a = dblock( 56 56 256 4 4 8 8 8 8 64 16 )
a : place(0 148 R0)
b = cblock( 56 56 512 4 4 8 8 8 8 32 32 8 19 )
b : place(150 0 R0)
c = dblock( 28 28 512 4 4 8 8 8 8 32 8 )
c : place(0 0 R90)
"""
