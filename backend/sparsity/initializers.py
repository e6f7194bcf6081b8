"""First masks: True is kept. Every initializer but `from_zeros` keeps exactly `kept` weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from itertools import count
from math import gcd, prod

import torch
from torch import Tensor

from ..errors import UserError

Initializer = Callable[[str, Tensor, int, int], Tensor]
"""(parameter name, weight, weights kept, seed) to a bool mask of the weight's shape, on the CPU."""


def kept_count(elements: int, sparsity: float) -> int:
    """Truncation of (1 - sparsity) * elements, for the decimal number that was written.

    1 - 0.9 is slightly less than 0.1 in binary, which would lose one weight of every thousand.
    """
    return int((1 - Fraction(repr(float(sparsity)))) * elements)


def random(name: str, weight: Tensor, kept: int, seed: int) -> Tensor:
    """Uniformly random positions; they depend on seed, name and shape only."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    order = torch.randperm(weight.numel(), generator=generator)
    return _mask_of(order[:kept], weight)


def topk(name: str, weight: Tensor, kept: int, seed: int) -> Tensor:
    """The weights of largest magnitude; NaN counts as smallest."""
    magnitude = _values(name, weight).abs().nan_to_num(nan=-1.0).flatten()
    return _mask_of(magnitude.topk(kept).indices, weight)


def from_zeros(name: str, weight: Tensor, kept: int, seed: int) -> Tensor:
    """Keeps what is not zero in the weight already, whatever `kept` says; NaN is pruned."""
    values = _values(name, weight)
    return (values != 0) & ~values.isnan()


def checkerboard(name: str, weight: Tensor, kept: int, seed: int) -> Tensor:
    """Evenly spread in both directions, for performance tests: counts of rows differ by at most
    one, and so do those of columns.

    Kept positions are dealt to rows evenly, and to columns in steps of g. Any successive `columns`
    of them meet every column once, since g has no divisor in common with `columns`; with g the
    inverse of n, the n of a row are evenly spaced, and the next row is shifted by one.
    """
    rows = weight.shape[0] if weight.dim() > 1 else 1
    columns = weight.numel() // max(rows, 1)
    index = torch.arange(kept)
    row = (index * rows) // max(kept, 1)
    column = (index * _step(max(columns, 1), round(kept / max(rows, 1)))) % max(columns, 1)
    return _mask_of(row * columns + column, weight)


def _step(columns: int, per_row: int) -> int:
    """The inverse, modulo `columns`, of the first number from `per_row` on that has one."""
    return next(pow(n, -1, columns) for n in count(max(per_row, 1)) if gcd(n, columns) == 1)


INITIALIZERS: dict[str, Initializer] = {
    "random": random,
    "topk": topk,
    "from_zeros": from_zeros,
    "checkerboard": checkerboard,
}


def _mask_of(kept: Tensor, weight: Tensor) -> Tensor:
    mask = torch.zeros(prod(weight.shape), dtype=torch.bool)
    mask[kept] = True
    return mask.view(weight.shape)


def _values(name: str, weight: Tensor) -> Tensor:
    if weight.is_meta:
        raise UserError(
            f"sparsity of '{name}'",
            expected="weights with values, which this init_method looks at",
            got="a weight on the meta device",
            change="use init_method random or checkerboard, or materialise the model first",
        )
    return weight.detach().cpu()
