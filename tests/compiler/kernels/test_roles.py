"""What the tensors of a stage's graph mean: weights, weight gradients, or activations."""

from __future__ import annotations

import torch
from torch import fx
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
