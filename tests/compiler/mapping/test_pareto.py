"""The choices worth keeping: none is at least as small in height, width and cycles as another."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.mapping.pareto import pareto


@given(st.lists(st.tuples(*[st.integers(1, 6)] * 3), min_size=1, max_size=40))
def test_pareto_keeps_exactly_the_undominated(points):
    height, width, cycles = (np.array(axis, np.int64) for axis in zip(*points, strict=True))
    kept = {points[i] for i in pareto(height, width, cycles)}
    undominated = {
        p
        for p in points
        if not any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)
    }
    assert kept == undominated
