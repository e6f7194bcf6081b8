from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from helpers.placed_intervals import SHAPE, STAGES, interval
from helpers.small_mesh import kernels
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.errors import InfeasibleError
from weft.compiler.place.intervals import Intervals


@given(STAGES, st.integers(6, 30), st.integers(6, 30), st.integers(0, 9), st.integers(0, 9))
def test_a_larger_wafer_is_never_slower(shapes, rows, columns, more_rows, more_columns):
    small = interval(shapes, rows, columns)
    assert interval(shapes, rows + more_rows, columns + more_columns) <= small


@given(STAGES, st.lists(SHAPE, min_size=8, max_size=8))
def test_more_choices_are_never_slower(shapes, extra):
    more = [[*stage, added] for stage, added in zip(shapes, extra, strict=False)]
    assert interval(more, 20, 20) <= interval(shapes, 20, 20)


def test_the_interval_by_hand():
    """Two stages on 4 x 4: both fast ones need 5 columns, one must be slower."""
    shapes = [[(4, 3, 10), (4, 2, 20)], [(4, 3, 10), (4, 1, 15)]]
    assert Intervals(kernels(shapes, 4, 4)).least == 15
    assert Intervals(kernels(shapes, 4, 6)).least == 10
    assert Intervals(kernels(shapes, 8, 3)).least == 10


@given(STAGES, st.integers(8, 12))
def test_intervals_on_fewer_wafers_are_those_of_each_number_of_them(shapes, side):
    chain = kernels(shapes, side, side)
    on_all = replace(chain, target=replace(chain.target, wafers=6))
    one_by_one = set()
    for wafers in range(1, 6):
        fewer = replace(chain, target=replace(chain.target, wafers=wafers))
        with suppress(InfeasibleError):
            one_by_one.add(Intervals(fewer).least)
    try:
        intervals = Intervals(on_all)
        least = intervals.least
    except InfeasibleError:
        return
    assert {*intervals.on_fewer_wafers()} - {least} == one_by_one - {least}
