"""Products of transposed matrices: torch's numbers, and no transpose of a right one is copied."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, fx

jax = pytest.importorskip("jax")
jnp = jax.numpy

from weft.backend.optim import Factors  # noqa: E402
from weft.runtime.jax.ops.lower import lower  # noqa: E402

ATEN = torch.ops.aten
TIMES = list(itertools.product(range(3), range(3)))


def product_graph(a: Tensor, b: Tensor, times: tuple[int, int]) -> fx.GraphModule:
    """a @ b, where each operand is transposed some times on its way."""
    graph, operands = fx.Graph(), []
    for name, value, count in zip("ab", (a, b), times, strict=True):
        node = graph.placeholder(name)
        node.meta["val"] = value
        for _ in range(count):
            value = value.T
            node = graph.call_function(ATEN.permute.default, (node, [1, 0]))
            node.meta["val"] = value
        operands.append(node)
    node = graph.call_function(ATEN.mm.default, tuple(operands))
    node.meta["val"] = torch.zeros(3, 5)
    graph.output((node,))
    return fx.GraphModule({}, graph)


@pytest.mark.parametrize("terms", [1, 4])
@pytest.mark.parametrize("times", TIMES)
def test_transposes_are_read_in_place(times: tuple[int, int], terms: int) -> None:
    """But that of a left operand, once, where more than one term is summed."""
    torch.manual_seed(0)
    plain = torch.randn(3, terms), torch.randn(terms, 5)
    a, b = (value.T if count % 2 else value for value, count in zip(plain, times, strict=True))
    run = jax.jit(lower(product_graph(a, b, times)))
    arrays = [jnp.asarray(value.numpy()) for value in (a, b)]
    np.testing.assert_allclose(run(*arrays)[0], plain[0] @ plain[1], rtol=1e-5, atol=1e-6)
    stored = terms > 1 and times[0] % 2
    assert run.lower(*arrays).as_text().count("stablehlo.transpose") == stored


def outer_graph(column: Tensor, row: Tensor) -> fx.GraphModule:
    """A product of which a transpose is laid flat."""
    graph = fx.Graph()
    operands = [graph.placeholder("a"), graph.placeholder("b")]
    for node, value in zip(operands, (column, row), strict=True):
        node.meta["val"] = value
    product = graph.call_function(ATEN.mm.default, tuple(operands))
    back = graph.call_function(ATEN.permute.default, (product, [1, 0]))
    view = graph.call_function(ATEN.reshape.default, (back, [-1]))
    for node, value in ((product, column @ row), (back, (column @ row).T), (view, column @ row)):
        node.meta["val"] = value.reshape(-1) if node is view else value
    graph.output((view,))
    return fx.GraphModule({}, graph)


def squares(column: Tensor, row: Tensor) -> tuple[float, float]:
    """What `lower` says is the sum of squares of the product, and that of its entries."""
    run = jax.jit(lower(outer_graph(column, row), squares=1))
    entries, found = run(jnp.asarray(column.numpy()), jnp.asarray(row.numpy()))
    return float(summed(found)), float((np.asarray(entries, np.float64) ** 2).sum())


def summed(found: Any) -> Any:
    """A sum of squares, also from factors."""
    return found.square(jnp) if isinstance(found, Factors) else found


def test_factors_are_those_of_the_entries_as_they_lie() -> None:
    torch.manual_seed(0)
    column, row = torch.randn(3, 1), torch.randn(1, 5)
    run = lower(outer_graph(column, row), squares=1)
    entries, found = run(jnp.asarray(column.numpy()), jnp.asarray(row.numpy()))
    assert isinstance(found, Factors)
    np.testing.assert_array_equal(np.outer(*found).reshape(-1), entries)


@pytest.mark.parametrize("inner", [1, 2, 7])
@pytest.mark.parametrize("scale", [1.0, 1e15, 1e-15])
def test_squares_are_those_of_the_entries(inner: int, scale: float) -> None:
    """Large columns of small rows as well: neither factor's own square may decide."""
    torch.manual_seed(0)
    column, row = scale * torch.randn(30, inner), torch.randn(inner, 50) / scale
    got, expected = squares(column, row)
    # sums of at most 1500 positive terms in float32, whatever their order: 1500 * 6e-8
    assert got == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("where", [0, 1])
def test_squares_of_bad_entries_are_not_finite(bad: float, where: int) -> None:
    factors = [torch.ones(4, 1), torch.ones(1, 3)]
    factors[where][0, 0] = bad
    assert not np.isfinite(squares(*factors)[0])


def test_squares_of_an_outer_product_do_not_need_its_entries() -> None:
    run = lower(outer_graph(torch.zeros(30, 1), torch.zeros(1, 50)), squares=1)
    alone = jax.jit(lambda a, b: summed(run(a, b)[1])).lower(jnp.zeros((30, 1)), jnp.zeros((1, 50)))
    assert "30x50" not in alone.as_text()


def convolution_graph(grad: Tensor, x: Tensor, weight: Tensor) -> fx.GraphModule:
    """The gradient of the weight of a convolution, 3 x 3 with a border of one pixel."""
    graph = fx.Graph()
    given = [graph.placeholder(name) for name in ("grad", "x", "weight")]
    window = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    arguments = (*given, None, *window, [False, True, False])
    backward = graph.call_function(ATEN.convolution_backward.default, arguments)
    backward.meta["val"] = (None, weight, None)
    entry = graph.call_function(operator.getitem, (backward, 1))
    entry.meta["val"] = weight
    graph.output((entry,))
    return fx.GraphModule({}, graph)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("scale", [1.0, 1e15, 1e-15])
def test_squares_of_the_gradient_of_a_convolution_are_those_of_its_entries(
    size: int, scale: float
) -> None:
    torch.manual_seed(0)
    grad, x = scale * torch.randn(1, 30, size, size), torch.randn(1, 20, size, size) / scale
    run = jax.jit(lower(convolution_graph(grad, x, torch.zeros(30, 20, 3, 3)), squares=1))
    entries, found = run(*(jnp.asarray(v.numpy()) for v in (grad, x)), jnp.zeros((30, 20, 3, 3)))
    expected = float((np.asarray(entries, np.float64) ** 2).sum())
    assert float(summed(found)) == pytest.approx(expected, rel=1e-4)
    if isinstance(found, Factors):
        np.testing.assert_allclose(np.outer(*found).reshape(30, 20, 3, 3), entries, rtol=1e-6)


def test_squares_of_a_convolution_to_one_position_do_not_need_its_entries() -> None:
    shapes = ((1, 30, 1, 1), (1, 20, 1, 1), (30, 20, 3, 3))
    run = lower(convolution_graph(*map(torch.zeros, shapes)), squares=1)
    lowered = jax.jit(lambda *given: summed(run(*given)[1])).lower(*map(jnp.zeros, shapes))
    program = lowered.compile().as_text()  # what nobody needs is gone from it
    used = [line for line in program.splitlines() if "f32[30,20,3,3]" in line or "[30,180]" in line]
    assert all("parameter(" in line or "ENTRY" in line or "HloModule" in line for line in used)
