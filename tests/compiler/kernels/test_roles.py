"""What the tensors of a stage's graph mean: weights, weight gradients, or activations."""

from __future__ import annotations

import pytest
import torch
from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx
from weft.compiler.kernels.roles import find_roles


def test_a_weight_may_have_a_sum_of_more_gradients_than_python_recurses():
    """As one that is used in each of 3,000 steps has."""
    graph = fx.Graph()
    graph.placeholder("weight")
    total = first = graph.call_function(torch.ops.aten.mul.Tensor, (1, 2))
    for _ in range(3000):
        total = graph.call_function(torch.ops.aten.add.Tensor, (total, first))
    graph.output((total,))
    found = find_roles(fx.GraphModule({}, graph), (True,), is_backward=True).gradient
    assert set(found) == set(graph.find_nodes(op="call_function", target=total.target)) | {first}


def _after_a_product(then):
    """The node that `then` makes of a product of 2 x (3 x 4) and (4 x 6), and who left its last
    axis."""
    module = make_fx(lambda x, y: then(torch.bmm(x, y)), tracing_mode="fake")(
        torch.empty(2, 3, 4), torch.empty(2, 4, 6)
    )
    left = find_roles(module, (), is_backward=False).left_by
    (result,) = module.graph.output_node().args
    return left.get(result if isinstance(result, fx.Node) else result[0])


@pytest.mark.parametrize(
    "then",
    [
        *(lambda x: x, lambda x: x * 2 + 1, lambda x: x.transpose(0, 1)),
        *(lambda x: x.reshape(6, 6), lambda x: x.view(2, 3, 2, 3), lambda x: x.split(3, -1)),
        *(lambda x: x.permute(1, 0, 2), lambda x: x.sum(0), lambda x: x - x.amax(-1, True)),
    ],
)
def test_features_lie_as_a_product_left_them_until_their_axis_is_exchanged(then):
    assert getattr(_after_a_product(then), "target", None) == torch.ops.aten.bmm.default


@pytest.mark.parametrize(
    "then",
    [
        *(lambda x: x.transpose(1, 2), lambda x: x.mT * 2, lambda x: x.permute(0, 2, 1)),
        *(lambda x: x.amax(-1, True), lambda x: x.sum(-1), lambda x: x.flatten(1)),
    ],
)
def test_other_axes_lie_in_no_product_s_order(then):
    assert _after_a_product(then) is None
