"""What each random operator of torch draws, as a function of uniform numbers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.droppy import Droppy, graph_of, tensors_of
from helpers.staged import forward_backward
from torch import nn
from weft.compiler.stages.cut import cut


def test_places_draw_apart_but_share_programs():
    layers = [nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)) for _ in range(4)]
    stages = cut(graph_of(nn.Sequential(*layers), torch.zeros(1, 8), torch.zeros(1, 8)))
    keys = [name for stage in stages.stages for name in stage.forward_state]
    assert sorted(keys) == [f"random.{i}.key" for i in range(4)]
    inner = {s.program.key for s in stages.stages if s.name in ("1.0", "2.0", "3.0")}
    assert len(inner) == 1


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_dropout_of_nothing_and_of_everything(p):
    model = Droppy(p)
    graph = graph_of(model, torch.ones(1, 8), torch.ones(1, 4))
    assert not graph.constants
    loss, *_ = forward_backward(
        cut(graph), tensors_of(model, graph), (torch.ones(1, 8),) * 1 + (torch.ones(1, 4),)
    )
    hidden = torch.tanh(model.first(torch.ones(1, 8))) * (1 - p)
    torch.testing.assert_close(loss, F.mse_loss(model.second(hidden), torch.ones(1, 4)).detach())


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
    stages = cut(graph_of(Paths(), torch.ones(1, 8), torch.ones(1, 8)))
    random = ("rand", "bernoulli", "dropout")
    for stage in stages.stages:
        for graph in (stage.program.forward.graph, stage.program.backward.graph):
            assert not [n for n in graph.nodes if any(r in str(n.target) for r in random)]
    assert len([n for s in stages.stages for n in s.forward_state]) == 2
