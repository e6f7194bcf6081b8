from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.products import WSE2, cycles, forward, site
from hypothesis import given
from hypothesis import strategies as st
from weft.compiler.kernels.contraction import Contraction, ProductPart, price
from weft.compiler.kernels.nonzeros import WeightTiles, count_mask
from weft.compiler.kernels.site import Site
from weft.compiler.machine.collectives import all_reduce, transfer
from weft.compiler.machine.product import ProductKind
from weft.compiler.machine.tilings import useful_splits


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


def test_torch_masks_count_alike():
    mask = torch.rand(6, 5, 3, 3, generator=torch.Generator().manual_seed(0)) < 0.5
    assert count_mask(mask.numpy(), 1).sum() == int(mask.sum())


@pytest.mark.parametrize("rows", [1, 2, 5, 8, 12])
def test_a_batch_is_spread_over_the_rows_then_runs_in_turn(rows):
    """Each product of a batch of 4 has the rows over 4, or as many turns as they share a row."""
    operand = WeightTiles(out_features=24, in_features=16, taps=1)
    product = Contraction(operand, 10, 10, 0, "float32", 4, loaded=True)
    batch = price(
        site(WSE2, (rows, 2, 3)), ProductPart(ProductKind.FORWARD, replace(product, batch=4))
    )
    turns, own_rows = -(-4 // min(4, rows)), rows // min(4, rows)
    lying = ProductPart(ProductKind.FORWARD, replace(product, loaded=False))
    one = price(site(WSE2, (own_rows, 2, 3)), lying)
    loaded = turns * -(-16 // own_rows) * 24
    loading = transfer(WSE2.noc, np.array([loaded]), np.array([3]), 1)
    assert batch.compute[0] == turns * one.compute[0]
    assert batch.network[0] == turns * one.network[0] + loading[0]
    assert batch.macs_dense == 4 * 16 * 24 * 10
