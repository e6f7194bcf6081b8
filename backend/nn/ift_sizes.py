"""Sizes of the Sparse-IFT transformations (Thangarasa et al., ICML 2024): same FLOPs at sparsity s.

`taps` is the number of kernel positions of a convolution (9 for 3x3), 1 for a linear layer.
"""

from __future__ import annotations

from math import ceil, floor, sqrt

_SLACK = 1e-9
"""Rounding error of the formulas, which must not turn an exact size into the next one."""


def branches(sparsity: float) -> int:
    """Sparse Parallel: k = round(1 / (1 - s)); the FLOPs are the same where that is whole."""
    return round(1 / (1 - sparsity))


def widened(features: int, sparsity: float, multiple_of: int = 1) -> int:
    """Sparse Wide: features * sqrt(1 / (1 - s)), rounded; up to a multiple of `multiple_of`."""
    exact = features * sqrt(1 / (1 - sparsity))
    return round(exact) if multiple_of == 1 else ceil(exact / multiple_of - _SLACK) * multiple_of


def inner_size(inputs: int, outputs: int, sparsity: float, taps: int = 1) -> int:
    """Sparse Factorized, W = V U: d = ceil(taps in out / ((1 - s)(taps in + out)))."""
    cost = (1 - sparsity) * (taps * inputs + outputs)
    return ceil(taps * inputs * outputs / cost - _SLACK)


def low_rank(inputs: int, outputs: int, sparsity: float, taps: int = 1) -> int:
    """Sparse Doped: rank r = floor(s taps in out / (taps in + out)) of the dense part."""
    return floor(sparsity * taps * inputs * outputs / (taps * inputs + outputs) + _SLACK)
