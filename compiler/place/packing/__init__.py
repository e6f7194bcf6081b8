"""Packing rectangles of free shape: slicing trees over shape curves, annealed.

A *curve* of a block says the least height for every width, and the least width for every height.
A *slicing tree* cuts the wafer in two, and each part again, until every part holds one block; the
curve of a cut is the sum of its parts' curves, so the best shapes of all blocks follow from the
tree. `curves` adds and turns curves; `tree` keeps them up to date and lays blocks out; `moves`
changes a tree; `anneal` accepts or takes back; `rows` and `nested` make trees to start from;
`refold` cuts a tree's blocks anew, best of all cuts of one order (`parts`, `shortest`);
`shorten` is a short walk of both; `search` runs many starts on all cores.
"""

from __future__ import annotations

from .problem import Block, Levels, Problem, SlicedLayout
from .search import BestLayout, Budget, search
from .shorten import shorten

__all__ = [
    "BestLayout",
    "Block",
    "Budget",
    "Levels",
    "Problem",
    "SlicedLayout",
    "search",
    "shorten",
]
