"""The compressed kernels compute the product; their table names the fastest."""

from __future__ import annotations

import pytest
import torch
from weft.bench.compressed import KERNELS, CompressedTimes, compressed_times, kernels


@pytest.mark.parametrize("transposed", [False, True])
def test_every_kernel_gives_the_product(transposed: bool) -> None:
    torch.manual_seed(0)
    weight = torch.randn(30, 20) * (torch.rand(30, 20) < 0.1)
    weight = weight.T if transposed else weight
    vector = torch.randn(weight.shape[1])
    expected = weight.double() @ vector.double()
    for name, run in kernels(weight, vector).items():
        torch.testing.assert_close(run().double(), expected, rtol=1e-5, atol=1e-6, msg=name)


def test_times_are_of_both_products_and_name_the_fastest() -> None:
    rows = compressed_times(64, 0.9, rounds=3)
    assert [row.product for row in rows] == ["forward", "input gradient"]
    for row in rows:
        assert tuple(row.microseconds) == KERNELS
        assert all(value > 0 for value in row.microseconds.values())
        assert row.gain >= 1
    made = CompressedTimes("forward", 0.9, {"dense": 6.0, "torch csr": 2.0, "numba csr": 3.0})
    assert (made.fastest, made.gain) == ("torch csr", 3.0)
