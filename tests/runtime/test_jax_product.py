"""Products of transposed matrices: torch's numbers, and no transpose left for XLA to copy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, fx

jax = pytest.importorskip("jax")
jnp = jax.numpy

from weft.runtime.jax_lower import lower  # noqa: E402

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


@pytest.mark.parametrize("times", TIMES)
def test_transposes_are_read_in_place(times: tuple[int, int]) -> None:
    torch.manual_seed(0)
    plain = torch.randn(3, 4), torch.randn(4, 5)
    a, b = (value.T if count % 2 else value for value, count in zip(plain, times, strict=True))
    run = jax.jit(lower(product_graph(a, b, times)))
    arrays = [jnp.asarray(value.numpy()) for value in (a, b)]
    np.testing.assert_allclose(run(*arrays)[0], plain[0] @ plain[1], rtol=1e-5, atol=1e-6)
    assert "stablehlo.transpose" not in run.lower(*arrays).as_text()
