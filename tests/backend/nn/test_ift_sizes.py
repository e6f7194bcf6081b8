"""Sizes of the Sparse-IFT transformations (ICML 2024): same FLOPs at sparsity s."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.nn.ift_sizes import branches, inner_size, low_rank, widened


def test_published_sizes() -> None:
    """Thangarasa et al. 2024, and the vendor's GPT-3 125 M configurations."""
    assert [branches(s) for s in (0.5, 0.75, 0.9)] == [2, 4, 10]
    assert [widened(768, 0.5, 12), widened(3072, 0.75, 12), widened(768, 0.75)] == [
        1092,
        6144,
        1536,
    ]
    assert inner_size(64, 64, 0.75, 9) == math.ceil(9 * 64 * 64 / (0.25 * (9 * 64 + 64)))
    assert low_rank(64, 64, 0.75, 9) == math.floor(0.75 * 9 * 64 * 64 / (9 * 64 + 64))


@given(st.integers(64, 4096), st.integers(64, 4096), st.sampled_from([0.5, 0.75, 0.9, 0.95]))
def test_the_sizes_keep_the_cost(inputs: int, outputs: int, sparsity: float) -> None:
    dense, kept = inputs * outputs, 1 - sparsity
    factors = inner_size(inputs, outputs, sparsity) * (inputs + outputs)
    assert kept * factors == pytest.approx(dense, rel=0.02)
    rank = low_rank(inputs, outputs, sparsity)
    slack = (inputs + outputs) / dense
    assert kept * dense + rank * (inputs + outputs) == pytest.approx(dense, rel=slack)
