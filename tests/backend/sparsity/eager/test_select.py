"""What is pruned becomes 0 whatever it was, as `masked_fill_` does it."""

from __future__ import annotations

import pytest
import torch
from weft.backend.sparsity.eager.optimizers import has_finite_gradients
from weft.backend.sparsity.eager.select import kept, prune

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.complex64]


def some(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(6, 5, dtype=dtype, generator=generator)
    values[0, :4] = torch.tensor([torch.nan, torch.inf, -torch.inf, -0.0]).to(dtype)
    values[1, :4] = values[0, :4]
    mask = torch.rand(6, 5, generator=generator) < 0.5
    mask[0], mask[1] = True, False
    return values, mask


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("is_transposed", [False, True])
def test_what_is_pruned_is_zero_and_the_rest_stays_to_the_bit(
    dtype: torch.dtype, is_transposed: bool
) -> None:
    values, mask = some(dtype)
    if is_transposed:
        values, mask = values.t(), mask.t()
    expected = values.clone().masked_fill_(~mask, 0)
    copy = kept(values, mask)
    torch.testing.assert_close(copy, expected, rtol=0, atol=0, equal_nan=True)
    assert values.isnan().sum() == 2
    assert copy.stride() == values.stride()
    prune(values, mask)
    torch.testing.assert_close(values, expected, rtol=0, atol=0, equal_nan=True)
    assert values.isnan().sum() == 1


def test_a_mask_that_changes_in_place_is_seen() -> None:
    mask = torch.tensor([True, True, False])
    assert kept(torch.ones(3), mask).tolist() == [1, 1, 0]
    mask[0] = False
    assert kept(torch.ones(3), mask).tolist() == [0, 1, 0]
    assert kept(torch.ones(3, dtype=torch.float64), mask).tolist() == [0, 1, 0]


def test_autograd_sees_what_is_kept_and_that_a_weight_was_written() -> None:
    mask = torch.tensor([True, False])
    weight = torch.ones(2, requires_grad=True)
    (kept(weight * weight, mask) * 3).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [6, 0]
    squared, version = weight * weight, weight._version
    prune(weight, mask)
    assert weight.tolist() == [1, 0]
    assert weight._version > version
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        squared.sum().backward()


@pytest.mark.parametrize(
    ("gradient", "is_finite"),
    [
        ([1.0, -2.0], True),
        ([1.0, torch.nan], False),
        ([torch.inf, -torch.inf], False),
        ([3e38, 3e38], True),
        ([3e38, torch.inf], False),
    ],
)
def test_gradients_are_finite_also_where_their_sum_is_not(
    gradient: list[float], is_finite: bool
) -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor(gradient)
    assert has_finite_gradients(torch.optim.SGD([weight], 0.1)) is is_finite
