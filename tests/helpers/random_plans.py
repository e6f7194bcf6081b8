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
def random_plan(
    draw,
    max_stages=8,
    max_bytes=4000,
    extra_depth=3,
    cycles=SPREAD,
    max_parts=6,
    may_be_apart=True,
):
    """2 to `max_stages` stages in a chain with skips; FIFOs as deep as their span or deeper. A
    stream has up to `max_parts` parts, of which its readers need some to begin. Ticks of all stages
    but the last may begin with the backward, and of some of these the forward may be apart."""
    stages = draw(st.lists(cycles, min_size=2, max_size=max_stages))
    size, count = st.integers(0, max_bytes), st.integers(1, max_parts)

    def parts():
        parts = draw(count)
        return parts, draw(st.integers(1, parts))

    edges = [plans.edge(-1, 0, draw(size), 0, 0, *parts())]
    for sink in range(1, len(stages)):
        sources = {sink - 1, *draw(st.sets(st.integers(-1, sink - 1), max_size=2))}
        for source in sorted(sources):
            depth = sink - source + draw(st.integers(0, extra_depth))
            edges.append(plans.edge(source, sink, draw(size), draw(size), depth, *parts()))
    plan = plans.plan(stages, edges)
    if not may_be_apart or not draw(st.booleans()):
        return plan
    apart = draw(st.sets(st.integers(0, len(stages) - 2)))
    return plans.apart(plans.backward_first(plan), *apart)


@st.composite
def sharing_plan(draw, **options):
    """A random plan with two or more stages on one region."""
    plan = draw(random_plan(**options, may_be_apart=False))
    indices = st.sets(st.integers(0, len(plan.stages) - 1), min_size=2)
    return plans.sharing(plan, *sorted(draw(indices)))
