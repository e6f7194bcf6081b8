"""Routes between regions: along the row first, then along the column."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.place import route
from weft.compiler.plan.stage_record import Rectangle


def test_route_turns_at_most_once():
    corners, hops = route(Rectangle(0, 0, 4, 4), Rectangle(10, 6, 2, 2))
    assert corners == ((2, 2), (2, 7), (11, 7))
    assert hops == 14
    assert route(Rectangle(0, 0, 4, 4), Rectangle(0, 4, 4, 4)) == (((2, 2), (2, 6)), 4)
    assert route(Rectangle(0, 0, 1, 1), Rectangle(0, 0, 1, 1)) == (((0, 0),), 0)


RECTANGLE = st.builds(Rectangle, *[st.integers(0, 50)] * 2, *[st.integers(1, 20)] * 2)


@given(RECTANGLE, RECTANGLE)
def test_hops_are_the_length_of_the_corners(source, sink):
    corners, hops = route(source, sink)
    pairs = pairwise(corners)
    assert hops == sum(abs(a - c) + abs(b - d) for (a, b), (c, d) in pairs)
    assert route(sink, source)[1] == hops
