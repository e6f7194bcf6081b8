"""How tensors lie on a region, against dealing them out one by one."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.plan.check.regions.dealt import dealt, size_of
from weft.compiler.plan.stage_record import Rectangle, Tiling


@given(st.integers(0, 300), st.integers(1, 9), st.integers(1, 9))
def test_items_lie_over_rows_and_then_along_each_row(items: int, height: int, width: int):
    """Blocks of a row each, cut again along the row."""
    row = -(-items // height)
    cell = -(-row // width)
    places = Counter((n // row, n % row // cell) for n in range(items)) if items else Counter()
    assert all(r < height and c < width for r, c in places)
    found = dealt(items, Tiling(height, 1, width), Rectangle(0, 0, height, width))
    assert found == max(places.values(), default=0)


def test_sizes_by_algorithm() -> None:
    assert size_of(Tiling(2, 3, 5)) == (6, 5)
    assert size_of(Tiling(4, 4, 4, algorithm="ring")) == (4, 4)
    whole = Tiling(4, 1, 2, algorithm="all-reduce")
    assert dealt(9, whole, Rectangle(0, 0, 4, 2)) == 5
