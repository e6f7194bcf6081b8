"""What a product reads behind views, and where its entries lie behind them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, fx
from weft.runtime.tick.operands import column_and_row, is_turned, operand

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


@pytest.mark.parametrize("transposed", [0, 1, 2, 3])
@pytest.mark.parametrize("reshaped", [False, True])
def test_entries_behind_views_lie_as_they_do_there(transposed: int, reshaped: bool) -> None:
    """Numbers in the matrix tell where its entries are."""
    graph, value = fx.Graph(), torch.arange(12.0).reshape(3, 4)
    node = matrix = graph.placeholder("matrix")
    matrix.meta["val"] = value
    for _ in range(transposed):
        value = value.T
        node = graph.call_function(ATEN.permute.default, (node, [1, 0]))
        node.meta["val"] = value
    if reshaped:
        value = value.reshape(2, 6)
        node = graph.call_function(ATEN.reshape.default, (node, [2, 6]))
        node.meta["val"] = value
    turned = is_turned(node, matrix)
    expected = matrix.meta["val"].T if turned else matrix.meta["val"]
    assert turned is not None
    assert value.flatten().tolist() == expected.flatten().tolist()
    mixed = graph.call_function(ATEN.permute.default, (node, [1, 0]))
    assert (is_turned(mixed, matrix) is None) == reshaped


def test_entries_of_more_than_two_axes_that_change_places_lie_otherwise() -> None:
    graph = fx.Graph()
    matrix = graph.placeholder("matrix")
    matrix.meta["val"] = torch.zeros(4, 6)
    view = graph.call_function(ATEN.reshape.default, (matrix, [4, 2, 3]))
    view.meta["val"] = torch.zeros(4, 2, 3)
    moved = graph.call_function(ATEN.permute.default, (view, [0, 2, 1]))
    assert is_turned(moved, matrix) is None
