"""The balancing pass: permutations of the weight that even out non-zeros per tile."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.place import feature_order
from weft.compiler.place.feature_order import balance, load


def random_mask(shape: tuple[int, int], density: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < density


def tile_sums(mask: np.ndarray, tiles: tuple[int, int]) -> np.ndarray:
    """Tiles counted one by one."""
    rows, columns = (-(-size // split) for size, split in zip(mask.shape, tiles, strict=True))
    return np.array(
        [
            [mask[i : i + rows, j : j + columns].sum() for j in range(0, mask.shape[1], columns)]
            for i in range(0, mask.shape[0], rows)
        ]
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_a_random_layer_at_75_percent_comes_within_five_percent_of_the_mean(seed: int) -> None:
    mask = random_mask((2048, 2048), 0.25, seed)
    result = balance(mask, (64, 64))
    assert result.before.ratio > 1.15
    balanced = tile_sums(mask[np.ix_(result.rows, result.columns)], (64, 64))
    assert balanced.max() / balanced.mean() < 1.05
    assert result.after.maximum == balanced.max()
    assert result.after.mean == pytest.approx(balanced.mean())
    assert result.gain == pytest.approx(result.before.maximum / balanced.max())


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 100),
    st.integers(0, 3),
)
def test_any_mask_is_permuted_and_never_made_worse(
    rows: int, columns: int, row_tiles: int, column_tiles: int, percent: int, seed: int
) -> None:
    mask = random_mask((rows, columns), percent / 100, seed)
    tiles = (min(row_tiles, rows), min(column_tiles, columns))
    result = balance(mask, tiles)
    assert sorted(result.rows.tolist()) == list(range(rows))
    assert sorted(result.columns.tolist()) == list(range(columns))
    after = tile_sums(mask[np.ix_(result.rows, result.columns)], tiles)
    assert after.max() == result.after.maximum <= result.before.maximum
    assert load(mask, tiles).maximum == tile_sums(mask, tiles).max()


def test_the_product_comes_back_in_order() -> None:
    generator = np.random.default_rng(0)
    weight = np.where(random_mask((48, 32), 0.3), generator.standard_normal((48, 32)), 0)
    x = generator.standard_normal(32)
    result = balance(weight != 0, (6, 4))
    permuted = weight[np.ix_(result.rows, result.columns)] @ x[result.columns]
    y = np.empty(48)
    y[result.rows] = permuted
    assert np.allclose(y, weight @ x)


def test_rows_of_very_different_weight_are_spread() -> None:
    mask = np.zeros((64, 64), bool)
    mask[:8] = True
    result = balance(mask, (8, 8))
    assert result.before.ratio == 8.0
    assert result.after.ratio == 1.0


def test_counts_over_the_taps_of_a_convolution_are_balanced_too() -> None:
    counts = np.random.default_rng(0).binomial(9, 0.25, (256, 256))
    result = balance(counts, (16, 16))
    assert result.after.ratio < 1.03 < 1.09 < result.before.ratio


def test_the_result_is_repeatable() -> None:
    mask = random_mask((256, 256), 0.1)
    first, second = balance(mask, (16, 16)), balance(mask.copy(), (16, 16))
    assert np.array_equal(first.rows, second.rows)
    assert np.array_equal(first.columns, second.columns)


def test_the_orders_are_those_of_all_exchanges_tried_one_by_one() -> None:
    """As found by the first version, which made every difference of two rows anew."""
    result = balance(random_mask((1024, 1024), 0.1), (50, 70))
    places = np.arange(1024)
    assert (int(result.rows @ places), int(result.columns @ places)) == (291785951, 320778754)


@pytest.mark.parametrize(
    ("shape", "tiles"),
    [((64, 64), (8, 8)), ((4096, 4096), (181, 181)), ((30000, 30000), (667, 667))],
)
def test_work_grows_no_faster_than_the_weight(shape: tuple[int, int], tiles: tuple[int, int]):
    """Multiply-adds of all rounds: rows against rows in as many slices as the other axis has."""
    sweeps, share = feature_order._sweeps(shape, tiles)
    work = sweeps * share * (shape[0] ** 2 * tiles[1] + shape[1] ** 2 * tiles[0])
    assert 1 <= sweeps <= 3
    assert 0 < share <= 1
    assert work <= max(8e9, 500 * shape[0] * shape[1]) * (1 + 1e-9)


def test_a_share_of_the_rounds_is_the_first_of_them():
    every = [(a.tolist(), b.tolist()) for a, b in feature_order._rounds(10, 1.0)]
    some = [(a.tolist(), b.tolist()) for a, b in feature_order._rounds(10, 0.4)]
    assert len(every) == 9
    assert some == every[:4]
