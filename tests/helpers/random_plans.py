"""Random plan documents for properties: any stage times, skips, sizes and FIFO depths."""

from __future__ import annotations

from hypothesis import strategies as st

from . import plans


def _cycles(least, most):
    phase = st.integers(least, most)
    return st.tuples(phase, phase, phase)


SPREAD = _cycles(1, 400)
ALIKE = _cycles(97, 103)
"""Stages that are nearly as fast as each other fill up their FIFOs slowly."""


@st.composite
def random_plan(draw, max_stages=8, max_bytes=4000, extra_depth=3, cycles=SPREAD):
    """2 to `max_stages` stages in a chain with skips; FIFOs as deep as their span or deeper."""
    stages = draw(st.lists(cycles, min_size=2, max_size=max_stages))
    size = st.integers(0, max_bytes)
    edges = [plans.edge(-1, 0, draw(size))]
    for sink in range(1, len(stages)):
        sources = {sink - 1, *draw(st.sets(st.integers(-1, sink - 1), max_size=2))}
        for source in sorted(sources):
            depth = sink - source + draw(st.integers(0, extra_depth))
            edges.append(plans.edge(source, sink, draw(size), draw(size), depth))
    return plans.plan(stages, edges)
