from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.staged import forward_backward
from torch import nn
from weft.backend.ops import uniform
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut


class Droppy(nn.Module):
    def __init__(self, p: float = 0.4) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 4)
        self.drop = nn.Dropout(p)

    def forward(self, x):
        return self.second(self.drop(torch.tanh(self.first(x))))


def _graph(model, *sample, loss=F.mse_loss):
    return capture(model, sample, loss)


def _tensors(model, graph):
    state = {name: value.detach() for name, value in model.state_dict().items()}
    return {**state, **graph.constants}


def test_dropout_is_the_keyed_mask_and_advances_once_per_sample():
    torch.manual_seed(0)
    model, x, y = Droppy(), torch.randn(1, 8), torch.randn(1, 4)
    graph = _graph(model, x, y)
    stages, tensors = cut(graph), _tensors(model, graph)
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


def test_places_draw_apart_but_share_programs():
    layers = [nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)) for _ in range(4)]
    stages = cut(_graph(nn.Sequential(*layers), torch.zeros(1, 8), torch.zeros(1, 8)))
    keys = [name for stage in stages.stages for name in stage.forward_state]
    assert sorted(keys) == [f"random.{i}.key" for i in range(4)]
    inner = {s.program.key for s in stages.stages if s.name in ("1.0", "2.0", "3.0")}
    assert len(inner) == 1


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_dropout_of_nothing_and_of_everything(p):
    model = Droppy(p)
    graph = _graph(model, torch.ones(1, 8), torch.ones(1, 4))
    assert not graph.constants
    loss, *_ = forward_backward(
        cut(graph), _tensors(model, graph), (torch.ones(1, 8),) * 1 + (torch.ones(1, 4),)
    )
    hidden = torch.tanh(model.first(torch.ones(1, 8))) * (1 - p)
    torch.testing.assert_close(loss, F.mse_loss(model.second(hidden), torch.ones(1, 4)).detach())


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
        graph = _graph(model, x, mask, y)
        tensors = {
            n: t.double() if t.is_floating_point() else t for n, t in _tensors(model, graph).items()
        }
        loss, *_ = forward_backward(cut(graph), tensors, (x, mask, y))
        model.p = 0.0
        exact = F.mse_loss(model(x, mask), y).detach()
        assert torch.allclose(loss, exact, rtol=1e-7) is same


class Paths(nn.Module):
    """Stochastic depth as timm and transformers write it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        kept = x.new_empty((1, 1)).bernoulli_(0.5)
        floored = (0.5 + torch.rand((1, 1), dtype=x.dtype)).floor_()
        return self.layer(x) * kept.div_(0.5) + x * floored


def test_no_random_operator_is_left():
    stages = cut(_graph(Paths(), torch.ones(1, 8), torch.ones(1, 8)))
    random = ("rand", "bernoulli", "dropout")
    for stage in stages.stages:
        for graph in (stage.program.forward.graph, stage.program.backward.graph):
            assert not [n for n in graph.nodes if any(r in str(n.target) for r in random)]
    assert len([n for s in stages.stages for n in s.forward_state]) == 2
