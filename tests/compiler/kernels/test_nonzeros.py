"""Non-zeros per tile of real masks, counted in one pass for all splits, against single slices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.kernels.nonzeros import WeightTiles, count_mask


def _slices(size: int, split: int) -> list[slice]:
    length = -(-size // split)
    return [slice(begin, begin + length) for begin in range(0, size, length)]


def _fullest(mask: np.ndarray, in_split: int, out_split: int) -> int:
    """Of a mask (out, in, taps)."""
    tiles = (
        mask[rows, columns].sum()
        for rows in _slices(mask.shape[0], out_split)
        for columns in _slices(mask.shape[1], in_split)
    )
    return int(max(tiles))


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([1, 3]), st.data())
def test_the_fullest_tile_of_every_split(rows: int, columns: int, taps: int, data) -> None:  # type: ignore[no-untyped-def]
    seed, in_axis = data.draw(st.integers(0, 99)), data.draw(st.sampled_from([0, 1]))
    mask = np.random.default_rng(seed).random((rows, columns, taps)) < 0.3
    whole = mask if in_axis == 1 else mask.transpose(1, 0, 2)
    given_mask = mask[:, :, 0] if taps == 1 else mask
    tiles = WeightTiles(*whole.shape, counts=count_mask(given_mask, in_axis))
    split = st.tuples(st.integers(1, whole.shape[1]), st.integers(1, whole.shape[0]))
    for splits in data.draw(st.lists(st.lists(split, min_size=1, max_size=4), max_size=3)):
        found = tiles.tile_max(*(np.array(axis) for axis in zip(*splits, strict=True)))
        assert found.tolist() == [_fullest(whole, *pair) for pair in splits]
    assert tiles.total == mask.sum()


def test_a_mask_of_one_tap_is_counted_where_it_is() -> None:
    mask = np.ones((6, 4), bool)
    assert np.shares_memory(count_mask(mask, 1), mask)
    assert np.shares_memory(count_mask(mask, 0), mask)


@pytest.mark.parametrize("density", [0.1, 0.25, 1 / 3])
def test_an_even_weight_has_its_share_in_every_tile(density: float) -> None:
    tiles = WeightTiles(40, 60, 9, density=density, is_even=True)
    found = tiles.tile_max(np.array([6, 10]), np.array([8, 4]))
    assert found.tolist() == [int(50 * 9 * density), int(60 * 9 * density)]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.floats(0.01, 1))
def test_the_fullest_tile_is_expected_to_hold_a_mean_share_at_least_and_no_more_than_there_is(
    rows: int, columns: int, split: int, density: float
) -> None:
    """Of 7 x 5 weights at 0.67 there are 23, and one tile holds no 24; nor 17 of 18."""
    tiles = WeightTiles(rows, columns, 1, density=density)
    splits = np.array([1, min(split, columns)]), np.array([1, min(split, rows)])
    held = tiles.tile_max(*splits)
    assert held[0] == tiles.total
    assert tiles.total / (splits[0][1] * splits[1][1]) <= held[1] <= tiles.total
