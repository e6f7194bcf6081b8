from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.droppy import Droppy, graph_of, tensors_of
from helpers.staged import forward_backward
from torch import nn
from weft.backend.ops import uniform
from weft.compiler.stages.cut import cut


def test_dropout_is_the_keyed_mask_and_advances_once_per_sample():
    torch.manual_seed(0)
    model, x, y = Droppy(), torch.randn(1, 8), torch.randn(1, 4)
    graph = graph_of(model, x, y)
    stages, tensors = cut(graph), tensors_of(model, graph)
    key = torch.tensor([0, 0])
    for _ in range(3):
        drawn, next_key = uniform(key, (1, 8))
        hidden = torch.tanh(model.first(x)) * (drawn < 0.6) / 0.6
        expected = F.mse_loss(model.second(hidden), y)
        grads = torch.autograd.grad(expected, list(model.parameters()))
        loss, _, gradients, state = forward_backward(stages, tensors, (x, y))
        torch.testing.assert_close(loss, expected.detach())
        for (name, _), grad in zip(model.named_parameters(), grads, strict=True):
            torch.testing.assert_close(gradients[name], grad)
        assert torch.equal(state["random.0.key"], next_key)
        tensors |= state
        key = next_key


class Attending(nn.Module):
    def __init__(self, masked: bool, p: float) -> None:
        super().__init__()
        self.project, self.masked, self.p = nn.Linear(8, 24), masked, p

    def forward(self, x, mask):
        q, k, v = self.project(x).reshape(1, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
        chosen = {"attn_mask": mask} if self.masked else {"is_causal": True}
        return F.scaled_dot_product_attention(q, k, v, dropout_p=self.p, **chosen)


@pytest.mark.parametrize("masked", [True, False])
def test_attention_with_dropout_is_attention_where_nothing_is_dropped(masked):
    """With p -> 0 the written-out attention must be torch's; with p = 0.3 its mask is random."""
    torch.manual_seed(0)
    x, mask = torch.randn(1, 5, 8).double(), torch.rand(1, 1, 5, 5) > 0.3
    mask = mask | torch.eye(5, dtype=torch.bool)
    y = torch.zeros(1, 2, 5, 4).double()
    for p, same in ((1e-9, True), (0.3, False)):
        model = Attending(masked, p).double()
        graph = graph_of(model, x, mask, y)
        tensors = {
            name: tensor.double() if tensor.is_floating_point() else tensor
            for name, tensor in tensors_of(model, graph).items()
        }
        loss, *_ = forward_backward(cut(graph), tensors, (x, mask, y))
        model.p = 0.0
        exact = F.mse_loss(model(x, mask), y).detach()
        assert torch.allclose(loss, exact, rtol=1e-7) is same
