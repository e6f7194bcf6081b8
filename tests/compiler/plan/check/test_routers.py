"""Streams meet where both pass a router: held against the routers of each, one by one."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.plan.check.link_load import Lanes
from weft.compiler.plan.check.routers import colours_taken, meetings

SIDE = st.tuples(st.integers(0, 6), st.integers(1, 4)).map(lambda one: (one[0], sum(one)))
RECTANGLES = st.lists(st.lists(st.tuples(SIDE, SIDE), max_size=3), max_size=8)


def lanes_of(found) -> list[list[Lanes]]:
    return [
        [Lanes(stream, "east", rows, columns) for rows, columns in own]
        for stream, own in enumerate(found)
    ]


@given(RECTANGLES)
def test_meetings_are_routers_in_common(found):
    passed = [
        {(r, c) for rows, columns in own for r in range(*rows) for c in range(*columns)}
        for own in found
    ]
    pairs = [(a, b) for a, b in combinations(range(len(found)), 2) if passed[a] & passed[b]]
    assert meetings(lanes_of(found)) == pairs


@given(RECTANGLES)
def test_a_colour_for_each_that_meets_no_other(found):
    pairs = meetings(lanes_of(found))
    most = max((sum(number in pair for pair in pairs) for number in range(len(found))), default=0)
    assert (1 if found else 0) <= colours_taken(pairs, len(found)) <= most + 1
