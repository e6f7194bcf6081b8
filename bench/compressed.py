"""`weft bench compressed`: compressed kernels beside the masked dense product, on this host.

Batch size 1, float32, one thread: the forward y = W x and the input gradient W^T g of one linear
layer, in torch dense, as torch CSR, and as a CSR loop of numba.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

KERNELS = ("dense", "torch csr", "numba csr")


@dataclass(frozen=True)
class CompressedTimes:
    """Median microseconds by kernel, for one product at one sparsity."""

    product: str
    sparsity: float
    microseconds: dict[str, float]

    @property
    def fastest(self) -> str:
        """The kernel to use here."""
        return min(self.microseconds, key=lambda name: self.microseconds[name])

    @property
    def gain(self) -> float:
        """Dense time over the fastest one's."""
        return self.microseconds["dense"] / self.microseconds[self.fastest]


def compressed_times(size: int, sparsity: float, rounds: int) -> list[CompressedTimes]:
    """Times of forward and input gradient of a size x size layer with a random mask."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(size, size, generator=generator)
    weight[torch.rand(size, size, generator=generator) < sparsity] = 0
    vector = torch.randn(size, generator=generator)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [
            CompressedTimes(product, sparsity, _times(kernels(matrix, vector), rounds))
            for product, matrix in (("forward", weight), ("input gradient", weight.T))
        ]
    finally:
        torch.set_num_threads(threads)


def kernels(weight: Tensor, vector: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The product weight @ vector by each kernel."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR")
        compressed = weight.contiguous().to_sparse_csr()
    rows = compressed.crow_indices().numpy()
    columns, values = compressed.col_indices().numpy(), compressed.values().numpy()
    x = vector.numpy()
    return {
        "dense": lambda: weight @ vector,
        "torch csr": lambda: compressed @ vector,
        "numba csr": lambda: torch.from_numpy(_product(rows, columns, values, x)),
    }


@njit(fastmath=True)
def _product(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.float32],
    x: NDArray[np.float32],
) -> NDArray[np.float32]:
    y = np.empty(len(rows) - 1, np.float32)
    for row in range(len(y)):
        total = np.float32(0)
        for place in range(rows[row], rows[row + 1]):
            total += values[place] * x[columns[place]]
        y[row] = total
    return y


def _times(work: dict[str, Callable[[], Tensor]], rounds: int) -> dict[str, float]:
    """Rounds alternate between the kernels, so that a busy host slows all of them."""
    found: dict[str, list[float]] = {name: [] for name in work}
    for run in work.values():
        run()
    for _ in range(rounds):
        for name, run in work.items():
            began = time.perf_counter()
            run()
            found[name].append(time.perf_counter() - began)
    return {name: 1e6 * median(times) for name, times in found.items()}
