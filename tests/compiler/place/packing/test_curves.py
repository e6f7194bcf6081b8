"""Shape curves, against trying every shape."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.place.packing.curves import NONE, add, curve_of, invert, least_index

shapes = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=6)


def curve(pairs: list[tuple[int, int]], last: int = 12) -> np.ndarray:
    widths, heights = np.array(pairs).T
    return curve_of(widths, heights, last)


@given(shapes, st.integers(1, 12))
def test_the_least_height_at_each_width(pairs: list[tuple[int, int]], last: int):
    expected = [min([h for w, h in pairs if w <= width], default=NONE) for width in range(last + 1)]
    assert curve(pairs, last).tolist() == expected


@given(shapes)
def test_a_turned_curve_has_the_least_width_at_each_height(pairs: list[tuple[int, int]]):
    turned = np.empty(13, np.int16)
    invert(curve(pairs), turned)
    expected = [min([w for w, h in pairs if h <= height], default=NONE) for height in range(13)]
    assert turned.tolist() == expected


@given(shapes, shapes, st.integers(2, 20))
def test_parts_one_above_the_other(first, second, limit: int):
    into = np.empty(13, np.int16)
    add(curve(first), curve(second), limit, into)
    for width, height in enumerate(into.tolist()):
        both = int(curve(first)[width]) + int(curve(second)[width])
        assert height == (both if both <= limit else NONE)


@given(shapes, st.integers(0, 13))
def test_the_first_width_at_which_it_is_low_enough(pairs, limit: int):
    found, line = least_index(curve(pairs), limit), curve(pairs)
    low = [width for width in range(13) if line[width] <= limit]
    assert found == (low[0] if low else 12)
