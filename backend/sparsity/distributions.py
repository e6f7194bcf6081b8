"""How the non-zeros of a group are spread over its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import prod
from typing import Literal

from .initializers import kept_count

Shapes = Mapping[str, tuple[int, ...]]
Distribution = Literal["uniform", "er", "erk"]


def kept_counts(
    shapes: Shapes, sparsity: float, distribution: Distribution, power: float = 1.0
) -> dict[str, int]:
    """Kept weights of every parameter.

    uniform: the truncation of (1 - sparsity) * elements for each. er and erk (Evci et al. 2020):
    the truncation of (1 - sparsity) * all elements in total, exactly; densities proportional to
    (sum of dimensions / product of dimensions) ** power, of the two feature dimensions (er) or of
    all (erk); a layer that would pass density 1 is dense and the others are solved again.
    """
    sizes = {name: prod(shape) for name, shape in shapes.items()}
    if distribution == "uniform":
        return {name: kept_count(size, sparsity) for name, size in sizes.items()}
    raw = {name: _raw_density(shape, distribution, power) for name, shape in shapes.items()}
    return _spread(sizes, raw, kept_count(sum(sizes.values()), sparsity))


def _raw_density(shape: tuple[int, ...], distribution: Distribution, power: float) -> float:
    dims = shape[:2] if distribution == "er" else shape
    return (sum(dims) / prod(dims)) ** power if prod(dims) else 0.0


def _spread(sizes: Mapping[str, int], raw: Mapping[str, float], budget: int) -> dict[str, int]:
    """`budget` in parts proportional to size * raw, none above its size."""
    weights = {name: Fraction(raw[name]) * size for name, size in sizes.items()}
    none = dict.fromkeys(sizes, 0)
    kept: dict[str, int] = {}
    open_names = [name for name, weight in weights.items() if weight]
    while open_names:
        rest = budget - sum(kept.values())
        scale = Fraction(rest) / sum((weights[name] for name in open_names), Fraction(0))
        full = [name for name in open_names if scale * weights[name] >= sizes[name]]
        if not full:
            shares = {name: scale * weights[name] for name in open_names}
            return none | kept | _rounded(shares, rest)
        kept |= {name: sizes[name] for name in full}
        open_names = [name for name in open_names if name not in kept]
    return none | kept


def _rounded(shares: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """Whole numbers with the exact total: the largest remainders are rounded up."""
    floors = {name: int(share) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: floors[name] - shares[name])
    for name in by_remainder[: total - sum(floors.values())]:
        floors[name] += 1
    return floors
