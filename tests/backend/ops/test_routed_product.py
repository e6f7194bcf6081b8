"""The routed product against a loop over rows, its gradients by differences, its two forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from weft.backend.ops.routed_product import (
    _product,
    _product_of_all,
    _weight_gradient,
    _weight_gradient_of_all,
)
from weft.backend.ops.routed_product import routed_product as product


def _rows(rows: int = 9, experts: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 5, generator=generator, dtype=torch.float64)
    weight = torch.randn(experts, 5, 3, generator=generator, dtype=torch.float64)
    return x, weight, torch.randint(-1, experts - 1, (rows,), generator=generator)


def test_every_row_meets_the_weight_of_its_expert() -> None:
    x, weight, expert = _rows()
    assert {-1, 0, 1} <= set(expert.tolist())
    y = product(x, weight, expert, 2, 9)
    for row, number, got in zip(x, expert.tolist(), y, strict=True):
        expected = row @ weight[number] if number >= 0 else torch.zeros(3).double()
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    x, weight, expert = _rows()
    leaves = x.requires_grad_(), weight.requires_grad_()
    assert torch.autograd.gradcheck(lambda *two: product(*two, expert, 2, 9), leaves)
    product(x, weight, expert, 2, 9).sum().backward()
    assert not x.grad[expert < 0].any()  # type: ignore[index]
    assert not weight.grad[3].any()  # type: ignore[index]


def test_the_form_of_fixed_shapes_computes_the_same() -> None:
    x, weight, expert = _rows()
    torch.testing.assert_close(
        _product(x, weight, expert, 2, 9), _product_of_all(x, weight, expert, 2, 9)
    )
    gradient = torch.randn(9, 3).double()
    torch.testing.assert_close(
        _weight_gradient(x, gradient, expert, 4, 2, 9),
        _weight_gradient_of_all(x, gradient, expert, 4, 2, 9),
    )


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_shapes_do_not_depend_on_where_rows_go(device: str) -> None:
    x, weight, expert = (value.to(device) for value in _rows())
    assert product(x, weight, expert, 2, 9).shape == (9, 3)
