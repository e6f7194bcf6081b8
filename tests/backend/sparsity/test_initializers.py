"""First masks that are even in both directions."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from weft.backend.sparsity.initializers import checkerboard, kept_count

SHAPES = [(4, 3), (384, 384), (64, 3, 7, 7), (64, 64, 3, 3), (512, 1, 3, 3), (768, 768)]
SHAPES += [(3072, 768), (768, 3072), (10, 512), (1000, 2048), (1, 8), (8, 1), (5, 5)]
SPARSITIES = [0.0, 0.1, 0.25, 0.5, 0.6, 2 / 3, 0.75, 0.8, 0.9, 0.95, 0.99]


def _mask(shape: tuple[int, ...], sparsity: float) -> Tensor:
    weight = torch.empty(shape, device="meta")
    kept = kept_count(weight.numel(), sparsity)
    mask = checkerboard("w", weight, kept, 0)
    assert mask.shape == shape
    assert int(mask.sum()) == kept
    return mask.flatten(1)


@pytest.mark.parametrize(("shape", "sparsity"), [*itertools.product(SHAPES, SPARSITIES)], ids=str)
def test_counts_of_rows_and_of_columns_differ_by_one_at_most(
    shape: tuple[int, ...], sparsity: float
) -> None:
    mask = _mask(shape, sparsity)
    for axis in (0, 1):
        counts = mask.sum(axis)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("shape", [(384, 384), (768, 3072), (1000, 2048)], ids=str)
def test_rows_have_no_long_gaps(shape: tuple[int, int], sparsity: float) -> None:
    for row in _mask(shape, sparsity)[::97]:
        at = row.nonzero().flatten()
        gaps = torch.cat([at.diff(), at[:1] + shape[1] - at[-1:]])
        assert gaps.max() <= 3 * shape[1] / len(at) + 1


def test_weights_without_columns_or_elements_are_taken() -> None:
    assert checkerboard("w", torch.empty(7), 3, 0).nonzero().flatten().diff().min() >= 2
    assert checkerboard("w", torch.empty(0, 4), 0, 0).shape == (0, 4)
    assert checkerboard("w", torch.empty(4, 0), 0, 0).shape == (4, 0)
