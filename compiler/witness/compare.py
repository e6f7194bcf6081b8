"""In what two steps differ by more than rounding.

Tensors are compared by the norm of their difference. In float64 a step is repeated to 1e-13 or so,
so that 1e-9 leaves room for badly conditioned models and none for another formula: the smallest
constants in use, epsilons of 1e-8, show. In float32 one rectifier that opens for one and not for
the other changes gradients by 1e-4 or so; 1e-2 of the norm is a mistake. Gradients that are zero
but for rounding (the bias of keys in attention) are held against the largest gradient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

RELATIVE: Mapping[torch.dtype, float] = {torch.float64: 1e-9, torch.float32: 1e-2}
"""Largest norm of a difference, in norms of what is expected."""
_OF_LARGEST: Mapping[torch.dtype, float] = {torch.float64: 1e-12, torch.float32: 1e-6}
"""What is not larger than this share of the largest of its kind is rounding."""


@dataclass(frozen=True)
class Difference:
    """Two values of `kind` and `name` that are not the same, in words."""

    kind: str
    name: str
    told: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip() + f": {self.told}"


def compared(
    kind: str, name: str, expected: Tensor | None, got: Tensor | None, largest: float = 0.0
) -> tuple[Difference | None, float]:
    """None for two values that agree, and their distance; a missing one counts as zero.

    `largest` is the norm of the largest tensor of the kind.
    """
    one, other = _both(expected, got)
    if one is None or other is None:
        return None, 0.0
    distance = relative_distance(one, other, largest)
    if distance <= RELATIVE.get(one.dtype, 0.0):
        return None, distance
    return Difference(kind, name, f"{_told(expected)} against {_told(got)}"), distance


def relative_distance(expected: Tensor, got: Tensor, largest: float = 0.0) -> float:
    """Norm of the difference in norms of `expected`; infinite where only one is finite, and for
    another shape.

    `largest` is the norm of the largest tensor of the kind.
    """
    if expected.shape != got.shape:
        return math.inf
    if not (expected.is_floating_point() or expected.is_complex()):
        return 0.0 if torch.equal(expected, got.to(expected.dtype)) else math.inf
    one, other = expected.detach(), got.detach().to(expected.dtype)
    apart = _norm(one - other)
    if not math.isfinite(apart):
        usual = torch.isfinite(one)
        odd = one[~usual], other[~usual]
        if not torch.equal(usual, torch.isfinite(other)) or not _is_same(*odd):
            return math.inf
        one, other = one[usual], other[usual]
        apart = _norm(one - other)
    floor = _OF_LARGEST.get(one.dtype, 0.0) * largest / RELATIVE.get(one.dtype, 1.0)
    size = _norm(one) + floor
    return apart / size if size else (0.0 if apart == 0 else math.inf)


def _norm(value: Tensor) -> float:
    """Finite only if every element is."""
    return float(torch.linalg.vector_norm(value))


def _is_same(one: Tensor, other: Tensor) -> bool:
    """Whether elements that are not finite are the same ones."""
    return torch.equal(one.nan_to_num(), other.nan_to_num())


def _both(expected: Tensor | None, got: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    if expected is None:
        return (None if got is None else torch.zeros_like(got)), got
    return expected, torch.zeros_like(expected) if got is None else got


def _told(value: Tensor | None) -> str:
    if value is None:
        return "none"
    if value.numel() == 1:
        return f"{value.item():.9g}"
    shape = "x".join(map(str, value.shape))
    if not value.is_floating_point():
        return f"another {shape} tensor"
    return f"norm {float(torch.linalg.vector_norm(value)):.9g} ({shape})"
