"""A trace writes down what torch's own tracer writes down."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx
from torch._decomp import core_aten_decompositions
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from weft.backend.errors import UnsupportedError
from weft.compiler.capture.tracing import Trace

DETACH = torch.ops.aten.detach.default
TABLE = {op: found for op, found in core_aten_decompositions().items() if op is not DETACH}


def normed(x: Tensor, w: Tensor) -> Tensor:
    return F.group_norm(F.conv2d(x, w, padding=1), 2).relu_().mean()


def parted(x: Tensor, w: Tensor) -> Tensor:
    first, second = F.linear(x, w).chunk(2, -1)
    values, _ = torch.topk(torch.cat([first, second.neg()], 1), 3)
    return (values * values).sum()


def indexed(x: Tensor, w: Tensor) -> Tensor:
    rows = torch.arange(2)
    return F.gelu(x[:, rows] @ w).var() + F.hardtanh(w).sum()


def attending(x: Tensor, w: Tensor) -> Tensor:
    heads = x.view(1, 2, 4, -1)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return (F.scaled_dot_product_attention(heads, heads, heads, is_causal=True) * w).sum()


CASES: Mapping[Callable[[Tensor, Tensor], Tensor], tuple[Sequence[int], Sequence[int]]] = {
    normed: ((1, 4, 6, 6), (4, 4, 3, 3)),
    parted: ((1, 8), (6, 8)),
    indexed: ((1, 4, 8), (8, 8)),
    attending: ((1, 4, 16), (8,)),
}


def joint(case: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], list[Tensor]]:
    def outputs(x: Tensor, w: Tensor) -> list[Tensor]:
        loss = case(x, w)
        return [loss, *torch.autograd.grad(loss, (x, w))]

    return outputs


def calls(graph: fx.Graph) -> list[tuple[object, ...]]:
    """Operators, arguments and shapes in order; detaching is nothing, names are not compared."""
    for node in list(graph.nodes):
        if node.target is DETACH:
            node.replace_all_uses_with(node.args[0])
    graph.eliminate_dead_code()
    number = {node: position for position, node in enumerate(graph.nodes)}
    return [
        (node.target, str(fx.map_arg((node.args, node.kwargs), number.__getitem__)), shape(node))
        for node in graph.nodes
        if node.op != "placeholder"
    ]


def shape(node: fx.Node) -> object:
    value = node.meta.get("val")
    return (value.shape, value.stride(), value.dtype) if isinstance(value, Tensor) else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_trace_is_that_of_make_fx(case: Callable[[Tensor, Tensor], Tensor]) -> None:
    shapes = CASES[case]
    with FakeTensorMode():
        x, w = (torch.empty(*sizes, requires_grad=True) for sizes in shapes)
        expected = make_fx(joint(case), decomposition_table=TABLE)(x, w).graph
        trace = Trace(TABLE)
        trace.placeholder("x_1", x)
        trace.placeholder("w_1", w)
        with trace:
            results = joint(case)(x, w)
    assert calls(trace.finish(results)) == calls(expected)


def test_values_are_those_of_the_moment() -> None:
    """What changes the shape of a tensor in place leaves the shape its node had."""
    with FakeTensorMode():
        x = torch.empty(2, 3)
        trace = Trace({})
        trace.placeholder("x", x)
        with trace:
            y = x.exp().unsqueeze_(0)
    shapes = {node.target: shape(node) for node in trace.finish([y]).nodes}
    assert shapes[torch.ops.aten.exp.default] == ((2, 3), (3, 1), torch.float32)
    assert shapes[torch.ops.aten.unsqueeze_.default] == ((1, 2, 3), (6, 3, 1), torch.float32)


def test_backward_has_the_numbers_of_the_forward() -> None:
    with FakeTensorMode():
        x = torch.empty(3, requires_grad=True)
        trace = Trace({})
        trace.placeholder("x", x)
        with trace:
            y = x.sin().exp()
            trace.number_backward([y])
            (gradient,) = torch.autograd.grad(y, [x], torch.ones_like(y))
    aten = torch.ops.aten
    graph = trace.finish([y, gradient])
    number = {node.target: node.meta.get("sequence") for node in graph.nodes}
    assert number[aten.cos.default] == number[aten.sin.default] != number[aten.exp.default]


def test_nothing_keeps_a_trace_that_was_differentiated() -> None:
    with FakeTensorMode():
        x = torch.empty(3, requires_grad=True)
        trace = Trace({})
        trace.placeholder("x", x)
        with trace:
            y = x.sin().exp()
            trace.number_backward([y])
            (gradient,) = torch.autograd.grad(y, [x], torch.ones_like(y))
    gone = weakref.ref(trace)
    trace.finish([y, gradient])
    del trace, x, y, gradient
    gc.collect()
    assert gone() is None


def test_a_constant_that_torch_makes_is_refused() -> None:
    with FakeTensorMode():
        trace = Trace({})
        with pytest.raises(UnsupportedError, match=r"a constant of shape \(\)"), trace:
            torch.tensor(1.0)
