"""Sums over a gradient's entries, from its factors or not, are numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from weft.backend.optim import Factors, sum_of_squares
from weft.backend.optim.sums import dot


@pytest.mark.parametrize("scale", [1.0, 1e15, 1e-15])
def test_squares_of_factors_are_those_of_the_entries(scale: float) -> None:
    """Large columns of small rows as well: neither factor's own square may decide."""
    torch.manual_seed(0)
    column, row = scale * torch.randn(30), torch.randn(50) / scale
    entries = torch.outer(column.double(), row.double())
    got = float(Factors(column, row).square(torch))
    assert got == pytest.approx(float(entries.square().sum()), rel=1e-4)


@pytest.mark.parametrize("xp", [np, torch])
def test_products_with_another_array_are_those_of_the_entries(xp: Any) -> None:
    generator = np.random.default_rng(0)
    column, row, other = (generator.standard_normal(n) for n in (4, 6, 24))
    factors = Factors(xp.asarray(column), xp.asarray(row))
    array = xp.asarray(other.reshape(4, 2, 3))
    expected = float(np.outer(column, row).reshape(-1) @ other)
    assert float(factors.dot(array, xp)) == pytest.approx(expected, rel=1e-5)
    turned = xp.asarray(np.ascontiguousarray(other.reshape(4, 6).T))
    assert float(factors.transposed.dot(turned, xp)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("xp", [np, torch])
def test_sums_are_in_at_least_float32(xp: Any) -> None:
    """300 * 300 is more than float16 has."""
    array = xp.asarray(np.full(3, 300.0), dtype=xp.float16)
    assert float(sum_of_squares(array, xp)) == float(dot(array, array, xp)) == 270000.0
