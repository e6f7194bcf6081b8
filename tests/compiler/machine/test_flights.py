"""Compiled flights against their own formulas in Python, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.machine import flights
from weft.compiler.targets import load_target

FORMS = range(flights.ALL_BEHIND + 1)
SIZES = st.tuples(
    st.integers(0, 5000), st.integers(1, 600), st.integers(1, 200), st.integers(0, 40)
)
LINKS = [flights.links(load_target(name).noc) for name in ("wse2", "wse3", "gc200", "dojo_d1")]
IN_BETWEEN = flights.Links(1.37, 5.42, 3.3, 17.7, multicast=False, routes=4)


def arrays(rows):
    words, *sizes = (np.array(column) for column in zip(*rows, strict=True))
    return words.astype(np.float64), *sizes


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(of=st.sampled_from([*LINKS, IN_BETWEEN]), rows=st.lists(SIZES, min_size=1, max_size=4))
def test_a_loop_gives_each_entry_what_it_takes_alone(form, of, rows):
    rows = [
        (w, p, s, min(max(g, form in (flights.TWO_PHASE, flights.TREE)), p)) for w, p, s, g in rows
    ]
    rows = [row for row in rows for _ in range(2)]
    together = flights.loop(form, of, len(rows), *arrays(rows))
    alone = [flights.loop(form, of, 1, *arrays([row]))[0] for row in rows]
    assert together.tolist() == alone


@pytest.mark.parametrize(
    ("form", "sizes", "cycles"),
    [
        (flights.CHAIN, (10, 5, 1, 0), 10 + 4 * 2 + 4 * 5),
        (flights.BROADCAST, (10, 5, 3, 0), 30 + 4 * 2 + 5 + 4 * 2 * 2),
        (flights.TWO_PHASE, (10, 8, 1, 4), 2 * 10 + 7 * 2 + (3 + 1) * 5),
        (flights.TWO_PHASE, (10, 7, 1, 4), 2 * 10 + 6 * 2 + (3 + 1 - 1) * 5),
        (flights.REDUCE, (10, 2, 1, 0), 10 + 2 + 5),
        (flights.TRANSFER, (10, 5, 1, 3), 10 + 5 * 2 + 3 * 5),
        (flights.ALL_REDUCE, (10, 2, 1, 1), (10 + 2 + 5) + (10 + 2 + 5)),
    ],
)
def test_by_hand(form, sizes, cycles):
    """A hop of 2 cycles, 5 for a PE to hand on; routes for all."""
    of = flights.Links(2.0, 5.0, 1.0, 7.0, multicast=True, routes=96)
    assert flights.loop(form, of, 1, *arrays([sizes])).tolist() == [cycles]


def test_lines_without_a_route_come_after_and_are_started_anew():
    """Four lines share links; a broadcast takes one of two routes, so that there are two turns."""
    of = flights.Links(2.0, 5.0, 1.0, 7.0, multicast=True, routes=2)
    one = 2 * 10 + 4 * 2 + 5 + 4 * 3 * 2
    assert flights.loop(flights.BROADCAST, of, 1, *arrays([(10, 5, 4, 0)])).tolist() == [
        2 * one + 7
    ]
