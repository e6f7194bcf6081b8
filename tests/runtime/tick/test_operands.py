"""What a product reads behind views, and its sum of squares from its factors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, fx
from weft.runtime.tick.operands import column_and_row, operand, square_of_product

ATEN = torch.ops.aten


def nodes(inner: int, transposed: int) -> tuple[fx.Node, list[fx.Node]]:
    """A view of (4, inner) @ (inner, 3), whose second factor is transposed some times before."""
    graph = fx.Graph()
    factors = [graph.placeholder(name) for name in "ab"]
    for node, shape in zip(factors, ((4, inner), (inner, 3)), strict=True):
        node.meta["val"] = torch.zeros(shape)
    second = factors[1]
    for _ in range(transposed):
        value: Tensor = second.meta["val"].T
        second = graph.call_function(ATEN.permute.default, (second, [1, 0]))
        second.meta["val"] = value
    product = graph.call_function(ATEN.mm.default, (factors[0], second))
    return graph.call_function(ATEN.reshape.default, (product, [-1])), [*factors, second]


@pytest.mark.parametrize("transposed", [0, 1, 2, 3])
def test_an_operand_is_found_behind_its_transposes(transposed: int) -> None:
    _, (first, second, last) = nodes(3, transposed)
    assert operand(first) == (first, False)
    assert operand(last) == (second, transposed % 2 == 1)


def test_a_product_over_one_has_a_column_and_a_row() -> None:
    view, (first, second, _) = nodes(1, 0)
    assert column_and_row(view) == (first, second)
    assert column_and_row(nodes(2, 0)[0]) is None
    assert column_and_row(nodes(0, 0)[0]) is None
    assert column_and_row(first) is None


@pytest.mark.parametrize("scale", [1.0, 1e15, 1e-15])
def test_its_squares_are_those_of_its_entries(scale: float) -> None:
    torch.manual_seed(0)
    column, row = scale * torch.randn(30, 1), torch.randn(1, 50) / scale
    entries = (column.double() @ row.double()).numpy()
    got = float(square_of_product(column, row, torch))
    assert got == pytest.approx(float(np.square(entries).sum()), rel=1e-4)
