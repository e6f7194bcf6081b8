"""Graphs with torch's promotion of types written down, run by torch as they were."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx
from weft.backend.errors import UnsupportedError
from weft.compiler.stages.decompositions import decompositions
from weft.runtime.tick.promotion import promoted

ATEN = torch.ops.aten
X = torch.tensor([[-1.5, 3.0, 7.0, 2.25]])
GIVEN = X, (20 * X).int(), (20 * X.abs()).to(torch.uint8), torch.linspace(-3, 4, 4000).bfloat16()

EXACT: dict[str, Callable[..., Tensor]] = {
    "bytes by a number": lambda x, n, b, h: b / 256,
    "bytes and whole numbers": lambda x, n, b, h: b + n,
    "whole and real numbers": lambda x, n, b, h: n * x,
    "a condition": lambda x, n, b, h: torch.where(b > 100, b, x),
    "chosen conditions": lambda x, n, b, h: torch.where(b > 100, b > 50, n),
    "bytes beyond their range": lambda x, n, b, h: (b > -1) & (b < 300),
    "less than half": lambda x, n, b, h: n < 10.5,
    "large beside reals": lambda x, n, b, h: x + 2**40,
    "64 bits": lambda x, n, b, h: n.long() * 2**33 + n,
    "sums of bytes": lambda x, n, b, h: b.sum(-1),
    "running products": lambda x, n, b, h: (n * 1000).cumprod(-1),
    "a mean of true ones": lambda x, n, b, h: (x > 2).sum(-1) + (x > 2).float().mean(),
    "whole numbers rounded": lambda x, n, b, h: (n * 2**20 + 1).floor(),
    "joined": lambda x, n, b, h: torch.cat([x, n], 1),
    "reals as bytes": lambda x, n, b, h: (1000 * x).to(torch.int8),
    "logical": lambda x, n, b, h: torch.logical_and(n, x) | ~torch.logical_or(b, x),
    "a number first": lambda x, n, b, h: 1 - x,
    "powers": lambda x, n, b, h: 2.0 ** (x > 2) + torch.pow(2, n).float(),
    "tests": lambda x, n, b, h: ATEN.isnan(n) | ATEN.isinf(x / (x - 3)),
}
ROUNDED: dict[str, Callable[..., Tensor]] = {
    "by a number": lambda x, n, b, h: h * 0.1,
    "mean": lambda x, n, b, h: h.mean(-1),
    "variance": lambda x, n, b, h: torch.stack(torch.var_mean(h, [0])),
    "soft-max": lambda x, n, b, h: h.softmax(-1),
    "normalized": lambda x, n, b, h: F.layer_norm(h, [4000]),
    "beside wide ones": lambda x, n, b, h: h[:4] * x,
}


def graph_of(function: Callable[..., Tensor]) -> fx.Graph:
    trace = make_fx(function, dict(decompositions()), tracing_mode="fake")
    return promoted(trace(*GIVEN).graph)


def run(graph: fx.Graph) -> Tensor:
    return fx.Interpreter(fx.GraphModule({}, graph)).run(*GIVEN)


@pytest.mark.parametrize("function", EXACT.values(), ids=EXACT)
def test_it_computes_the_same_in_one_type_at_a_time(function: Callable[..., Tensor]) -> None:
    graph, expected = graph_of(function), function(*GIVEN)
    torch.testing.assert_close(run(graph), expected, rtol=0, atol=0)
    for node in graph.nodes:
        if torch.Tag.pointwise in getattr(node.target, "tags", ()):
            skipped = 1 if node.target is ATEN.where.self else 0
            operands = [one for one in node.args[skipped:] if isinstance(one, fx.Node)]
            assert len({one.meta["val"].dtype for one in operands}) == 1, node.format_node()


@pytest.mark.parametrize("function", ROUNDED.values(), ids=ROUNDED)
def test_reals_of_16_bits_are_computed_in_32_and_rounded_once(
    function: Callable[..., Tensor],
) -> None:
    """Against the same in 32 bits."""
    wide, expected = function(*GIVEN[:3], GIVEN[3].float()), function(*GIVEN)
    torch.testing.assert_close(run(graph_of(function)), wide.to(expected.dtype), rtol=0, atol=0)


def test_what_a_graph_computes_twice_is_cast_once() -> None:
    graph = graph_of(lambda x, n, b, h: n * x + n / x)
    assert len(graph.find_nodes(op="call_function", target=ATEN._to_copy.default)) == 1


def test_a_graph_stays_as_it_is() -> None:
    made = make_fx(lambda x, n, b, h: n * x, tracing_mode="fake")(*GIVEN).graph
    before = str(made)
    promoted(made)
    assert str(made) == before


def test_bytes_are_not_resized() -> None:
    """torch does so in whole numbers, by a rule of its own."""
    with pytest.raises(UnsupportedError, match="upsample_bilinear2d"):
        graph_of(lambda x, n, b, h: ATEN.upsample_bilinear2d(b.reshape(1, 1, 2, 2), [3, 3], True))
