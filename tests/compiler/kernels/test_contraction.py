from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.kernels.contraction import Contraction, Part, price
from weft.compiler.kernels.nonzeros import WeightTiles, count_mask
from weft.compiler.kernels.roles import Roles
from weft.compiler.kernels.site import Site
from weft.compiler.machine.collectives import all_reduce, reduce, transfer
from weft.compiler.machine.local_product import weight_triggered
from weft.compiler.machine.product import Kind, tile_of
from weft.compiler.machine.tilings import Tilings, useful_splits
from weft.compiler.targets import load_target

WSE2 = load_target("wse2")


def forward(place: Site, product: Contraction):
    return price(place, Part(Kind.FORWARD, product))


def input_gradient(place: Site, product: Contraction):
    return price(place, Part(Kind.INPUT_GRADIENT, product))


def weight_gradient(place: Site, product: Contraction):
    return price(place, Part(Kind.WEIGHT_GRADIENT, product))


PRODUCTS = (forward, input_gradient, weight_gradient)


def site(target, *tilings: tuple[int, int, int], interleaved: bool = False) -> Site:
    columns = (np.array(axis, np.int64) for axis in zip(*tilings, strict=True))
    order = np.full(len(tilings), interleaved)
    found = replace(Tilings.in_blocks(*columns), interleaved=order)
    return Site(target, found, Roles({}, {}), {}, {})


def cycles(cost) -> np.ndarray:
    return cost.compute + cost.network


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 9))
def test_each_order_has_the_cheaper_neighbours(inputs, positions, out):
    """Sums over input slices cost less in blocks, sums over position slices interleaved; along the
    rows of PEs the order is the same."""
    described = Contraction(WeightTiles(24, 16, 1), 144, 144, 0, "float32", 4)
    places = (site(WSE2, (inputs, positions, out), interleaved=one) for one in (False, True))
    blocks, interleaved = places
    forwards = [cycles(forward(place, described))[0] for place in (blocks, interleaved)]
    assert forwards[0] <= forwards[1]
    lines = [all_reduce(WSE2.noc, *_over(place)) for place in (blocks, interleaved)]
    assert lines[1][0] <= lines[0][0]
    if positions == 1:
        assert forwards[0] == forwards[1]


def _over(place: Site) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([10]), place.tilings.space_split, place.tilings.space_spacing


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.data())
def test_tiles_conserve_nonzeros(out_features, in_features, taps, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    mask = rng.random((out_features, in_features, taps)) < 0.4
    weights = WeightTiles(out_features, in_features, taps, counts=count_mask(mask, 1))
    in_split = data.draw(st.sampled_from(useful_splits(in_features)))
    out_split = data.draw(st.sampled_from(useful_splits(out_features)))
    counts = weights.tile_counts(in_split, out_split)
    assert counts.shape == (out_split, in_split)
    assert counts.sum() == weights.total == mask.sum()
    pair = np.array([in_split]), np.array([out_split])
    assert weights.tile_max(*pair)[0] == counts.max() <= weights.tile_size(*pair)[0]


def test_a_transposed_mask_counts_the_other_axis():
    mask = np.zeros((2, 3, 4), bool)
    mask[1, 2] = True
    assert count_mask(mask, 1)[1, 2] == 4
    assert count_mask(mask, 0)[2, 1] == 4


def test_expected_maximum_agrees_with_real_masks():
    """Blom's order statistic against 20 random masks: within 2 % of their mean maximum."""
    splits = np.array([30]), np.array([40])
    expected = WeightTiles(1200, 1200, 1, density=0.25).tile_max(*splits)[0]
    rng = np.random.default_rng(0)
    maxima = [
        WeightTiles(1200, 1200, 1, counts=count_mask(rng.random((1200, 1200)) < 0.25, 1)).tile_max(
            *splits
        )[0]
        for _ in range(20)
    ]
    assert expected == pytest.approx(np.mean(maxima), rel=0.02)


@pytest.mark.parametrize("product", PRODUCTS)
def test_macs_of_a_convolution_equal_the_textbook_formula(product):
    out_channels, in_channels, kernel, height, width = 24, 16, 3, 8, 8
    weights = WeightTiles(out_channels, in_channels, kernel * kernel)
    described = Contraction(weights, height * width, height * width, 18, "float32", 4)
    cost = product(site(WSE2, (4, 2, 6), (1, 1, 1)), described)
    assert cost.macs_dense == out_channels * in_channels * kernel**2 * height * width
    assert cost.macs_effective == cost.macs_dense


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
        sizes = Contraction(weights, columns, columns, 0, "float16", 2).product(Kind.FORWARD)
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


def test_torch_masks_count_alike():
    mask = torch.rand(6, 5, 3, 3, generator=torch.Generator().manual_seed(0)) < 0.5
    assert count_mask(mask.numpy(), 1).sum() == int(mask.sum())


@pytest.mark.parametrize("rows", [1, 2, 5, 8, 12])
def test_a_batch_is_spread_over_the_rows_then_runs_in_turn(rows):
    """Each product of a batch of 4 has the rows over 4, or as many turns as they share a row."""
    operand = WeightTiles(out_features=24, in_features=16, taps=1)
    product = Contraction(operand, 10, 10, 0, "float32", 4, loaded=True)
    batch = price(site(WSE2, (rows, 2, 3)), Part(Kind.FORWARD, replace(product, batch=4)))
    turns, own_rows = -(-4 // min(4, rows)), rows // min(4, rows)
    lying = Part(Kind.FORWARD, replace(product, loaded=False))
    one = price(site(WSE2, (own_rows, 2, 3)), lying)
    loaded = turns * -(-16 // own_rows) * 24
    loading = transfer(WSE2.noc, np.array([loaded]), np.array([3]), 1)
    assert batch.compute[0] == turns * one.compute[0]
    assert batch.network[0] == turns * one.network[0] + loading[0]
    assert batch.macs_dense == 4 * 16 * 24 * 10
