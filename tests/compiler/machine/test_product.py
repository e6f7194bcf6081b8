"""A product of a weight with positions, and what the fullest PE holds of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.products import PRODUCTS, WSE2, cycles, forward, site
from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.kernels.contraction import Contraction
from weft.compiler.kernels.nonzeros import WeightTiles, count_mask
from weft.compiler.machine.collectives import reduce
from weft.compiler.machine.local_product import weight_triggered
from weft.compiler.machine.product import ProductKind, in_batch, tile_of
from weft.compiler.machine.tilings import ALL_REDUCE, Tilings
from weft.compiler.targets import load_target


@pytest.mark.parametrize("product", PRODUCTS)
@given(st.floats(0.05, 0.95), st.integers(0, 9))
def test_dropping_weights_never_costs_cycles(product, density, seed):
    place = site(WSE2, (1, 1, 1), (4, 2, 6), (16, 4, 24), (16, 64, 24))
    draw = np.random.default_rng(seed).random((24, 16, 9))
    totals = []
    for keep in (1.0, density, density / 2):
        weights = WeightTiles(24, 16, 9, counts=count_mask(draw < keep, 1))
        totals.append(cycles(product(place, Contraction(weights, 64, 64, 18, "float32", 4))))
    assert (totals[1] <= totals[0]).all()
    assert (totals[2] <= totals[1]).all()


@pytest.mark.parametrize("product", PRODUCTS)
def test_halving_the_nonzeros_nearly_halves_a_large_tile(product):
    place = site(WSE2, (1, 1, 1))
    dense, half = (
        cycles(
            product(
                place, Contraction(WeightTiles(10, 10, 9, density=d), 256, 256, 0, "float32", 4)
            )
        )
        for d in (1.0, 0.5)
    )
    assert half[0] / dense[0] == pytest.approx(0.5, abs=0.01)


def test_without_zero_skip_sparsity_gains_nothing():
    target = load_target("wse2", {"sparsity.zero_skip": "false"})
    place = site(target, (4, 2, 6))
    totals = [
        cycles(
            forward(place, Contraction(WeightTiles(24, 16, 9, density=d), 64, 64, 0, "float32", 4))
        )
        for d in (1.0, 0.25)
    ]
    assert totals[0] == totals[1]


def test_one_pe_pays_no_network():
    place = site(WSE2, (1, 1, 1))
    described = Contraction(WeightTiles(24, 16, 9), 64, 64, 18, "float32", 4)
    assert all(product(place, described).network[0] == 0 for product in PRODUCTS)


# Unstructured sparse 12k x 12k matrix product on CS-2 (SPDF supplement, after Lie 2021).
MEASURED_SPEED_UP = {0.5: 1.97, 0.25: 3.80, 0.1: 8.36}


@pytest.mark.parametrize(("density", "measured"), MEASURED_SPEED_UP.items())
def test_sparse_speed_up_of_the_wafer(density, measured):
    """One column of PEs: 12k in features over its rows, its share of 12k result columns, weights
    streamed in (so each triggers one instruction) and sums leaving while the next are formed.

    The number of result columns is not published; 12k is our reading of the name.
    """
    target, size = WSE2, 12_000
    one = np.array([1])
    place = site(target, (target.rows, 1, 1))
    columns = -(-size // target.columns)

    def streamed(kept: float) -> float:
        weights = WeightTiles(size, size, 1, density=kept)
        sizes = Contraction(weights, columns, columns, 0, "float16", 2).product(ProductKind.FORWARD)
        rows = place.tilings.in_split
        nonzeros = weights.tile_max(rows, one)
        tile = tile_of(target, place.tilings, sizes, nonzeros)
        compute = weight_triggered(target, tile.arithmetic)
        latency = reduce(target.noc, one, rows)
        leaving = reduce(target.noc, one * size * columns // 2, rows)
        return float((compute + np.maximum(latency, leaving - compute))[0])

    assert streamed(1.0) / streamed(density) == pytest.approx(measured, rel=0.03)


def test_narrow_types_are_faster():
    target = WSE2
    wide = Contraction(WeightTiles(64, 64, 9), 256, 256, 0, "float32", 4)
    narrow = replace(wide, dtype="float16", itemsize=2)
    place = site(target, (4, 1, 4), (8, 8, 8))
    assert (cycles(forward(place, narrow)) < cycles(forward(place, wide))).all()


def test_products_of_an_empty_batch_take_no_turn():
    tilings = site(WSE2, (1, 4, 1), (4, 2, 6)).tilings
    rows, turns = in_batch(tilings, 0)
    np.testing.assert_array_equal(rows.in_split, tilings.in_split)
    assert not turns.any()


def test_a_product_that_follows_in_its_batch_contracts_a_whole_line():
    """8 heads on 256 x 256 PEs, as an independent walk over who holds what: scores contract 128
    dims on the 32 lines of a head, and leave 2,048 keys over all 256 PEs of each line; the product
    with the values contracts those, and leaves the dims on the 32 lines."""
    lines = Tilings.in_blocks(*np.array([[256], [1], [256]]), ALL_REDUCE)
    scores, turns = in_batch(lines, 8)
    values, _ = in_batch(lines, 8, follows=True)
    assert turns[0] == 1
    keys_of_a_pe = 2048 // 256
    assert 2048 // int(scores.out_split[0]) == 2048 // int(values.in_split[0]) == keys_of_a_pe
    assert (scores.in_split[0], values.out_split[0]) == (32, 32)
    blocks = Tilings.in_blocks(*np.array([[256], [1], [256]]))
    one, other = in_batch(blocks, 8)[0], in_batch(blocks, 8, follows=True)[0]
    assert (one.in_split, one.out_split) == (other.in_split, other.out_split) == (32, 256)
