"""Drawn choices of stages, and the least interval at which they fit a mesh."""

from __future__ import annotations

from helpers.small_mesh import kernels
from hypothesis import strategies as st
from weft.backend.errors import InfeasibleError
from weft.compiler.place.intervals import Intervals

SHAPE = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 100))
STAGES = st.lists(st.lists(SHAPE, min_size=1, max_size=5), min_size=1, max_size=8)


def interval(shapes, rows: int, columns: int) -> float:
    try:
        return Intervals(kernels(shapes, rows, columns)).least
    except InfeasibleError:
        return float("inf")
