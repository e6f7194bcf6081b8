"""The wafer placement contest of ISPD 2020: its kernels, files and objective, for the placer.

`read` gives an `Instance`; `sizing` the curve of every kernel for a time limit; `place` a
`Solution`: rectangles from `packing`, execution arguments from `arguments`; `write` its text.
Scores are computed by `weft.study.contest_score`, which takes nothing from here.
"""

from __future__ import annotations

from .instance import ContestKernel, Instance
from .place import Bounds, Solution, bounds, place_instance
from .read import read_instance
from .write import solution_text

__all__ = [
    "Bounds",
    "ContestKernel",
    "Instance",
    "Solution",
    "bounds",
    "place_instance",
    "read_instance",
    "solution_text",
]  # fmt: skip
