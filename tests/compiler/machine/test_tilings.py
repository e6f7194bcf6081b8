"""Many tilings at once, as arrays: costs are computed for all of them in one sweep."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.machine.tilings import (
    Tilings,
    enumerate_tilings,
    line_tilings,
    useful_splits,
)
from weft.compiler.plan.stage_record import Tiling


def test_sums_in_turn_down_columns_and_along_rows_have_as_many_of_both():
    """So that a product may be priced as if its sums ran down the columns."""
    tilings = line_tilings(60, 400, rows=64, columns=50, in_turn=True)
    assert (tilings.in_split == tilings.out_split).all()
    assert tilings.in_split.max() == 50
    assert tilings.in_split.min() == 1
    free = line_tilings(60, 400, rows=64, columns=50)
    assert free.in_split.max() == 60
    assert len(free) > len(tilings)


@given(st.integers(1, 5000))
def test_useful_splits_leave_no_slice_empty(size):
    splits = useful_splits(size)
    assert splits[0] == 1
    assert splits[-1] == size
    for split in splits:
        slices = [len(s) for s in np.array_split(np.arange(size), split)]
        assert min(slices) > 0
        assert -(-size // -(-size // split)) == split


def test_enumerated_tilings_fit_the_grid():
    tilings = enumerate_tilings(64, 256, 128, rows=20, columns=30)
    assert tilings.height.max() <= 20
    assert tilings.width.max() <= 30


def test_both_orders_of_rows_are_enumerated_where_they_differ():
    tilings = enumerate_tilings(64, 256, 128, rows=20, columns=30)
    found = [tilings.tiling(i) for i in range(len(tilings))]
    assert len(set(found)) == len(found)
    for tiling in found:
        has_both = min(tiling.in_split, tiling.space_split) > 1
        assert has_both or not tiling.interleaved
        assert (replace(tiling, interleaved=not tiling.interleaved) in set(found)) == has_both


@given(st.integers(2, 9), st.integers(2, 9), st.booleans())
def test_rows_are_as_far_apart_as_the_order_says(inputs, positions, interleaved):
    """Spacings against the rows' numbers, written out."""
    tilings = Tilings.of(Tiling(inputs, positions, 1, interleaved))

    def row(of_inputs: int, of_positions: int) -> int:
        if interleaved:
            return of_inputs * positions + of_positions
        return of_positions * inputs + of_inputs

    assert sorted(row(i, p) for i in range(inputs) for p in range(positions)) == list(
        range(tilings.height[0])
    )
    assert tilings.in_spacing[0] == row(1, 0) - row(0, 0)
    assert tilings.space_spacing[0] == row(0, 1) - row(0, 0)


@given(*(st.integers(1, 3000) for _ in range(3)))
def test_tilings_are_the_useful_splits_and_the_fullest_beside_them(into, positions, out):
    found = enumerate_tilings(into, positions, out, rows=50, columns=70)
    tilings = {found.tiling(i) for i in range(len(found))}
    assert len(tilings) == len(found)
    axes = map(useful_splits, (into, positions, out))
    usual = {Tiling(i, s, o) for i, s, o in product(*axes) if i * s <= 50 and o <= 70}
    assert usual <= tilings
    assert (found.height <= 50).all()
    assert (found.width <= 70).all()
    fullest = max(n for n in range(1, 71) if -(-out // -(-out // n)) == n)
    assert found.out_split.max() == fullest
    for space in {tiling.space_split for tiling in usual}:
        most = 50 // space
        fullest = max(n for n in range(1, most + 1) if -(-into // -(-into // n)) == n)
        assert found.in_split[found.space_split == space].max() == fullest
