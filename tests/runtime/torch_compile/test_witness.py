"""Each graph of torch.compile is held against itself, run by torch, when it is compiled."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.fx import GraphModule
from weft.backend.errors import UserError, WitnessError
from weft.runtime.torch_compile import backend as module


class Model(nn.Module):
    """Dropout, a buffer that moves, a gradient for the input, an output that is also detached."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 3)
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x):
        h = self.norm(torch.tanh(self.first(x)))
        return self.second(F.dropout(h, 0.5)), h.detach()


def run(model, x, **options):
    compiled = torch.compile(model, backend="weft", options=options)
    scores, _ = compiled(x)
    scores.sum().backward()


def test_what_agrees_compiles_and_nothing_changes():
    model, x = Model(), torch.randn(5, 4, requires_grad=True)
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(3)
    compiled = torch.compile(model, backend="weft")
    with torch.no_grad():
        compiled(x)
    after = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(2))
    for name, value in model.state_dict().items():
        is_moved = "running" in name or "tracked" in name  # once, by the call itself
        assert torch.equal(value, before[name]) != is_moved
    assert int(model.norm.num_batches_tracked) == 1
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (torch.tanh, torch.sin, r"tanh|sin"),
        ("linear", lambda x, w, b: F.linear(x, w.detach(), b), r"gradient .*weight"),
        ("add_", lambda x, y: x + y, r"buffer .*num_batches_tracked.*: 1 against 0"),
    ],
    ids=["another operator", "a gradient that is cut", "a buffer that is not written"],
)
def test_stages_of_another_graph_are_refused(monkeypatch, old, new, said):
    traced = module.GraphWithRoles

    def changed(graph: GraphModule, roles, values):
        other = copy.deepcopy(graph)
        for node in other.graph.nodes:
            if old is node.target or str(old) in node.name:
                node.op, node.target = "call_function", new
        other.recompile()
        for one, two in zip(graph.graph.nodes, other.graph.nodes, strict=True):
            two.meta = dict(one.meta)
        return traced(other, roles, values)

    monkeypatch.setattr(module, "GraphWithRoles", changed)
    with pytest.raises(WitnessError, match=said):
        run(Model(), torch.randn(5, 4))
    run(Model(), torch.randn(5, 4), witness="off")


def test_an_unknown_choice_is_refused():
    with pytest.raises(UserError, match="'on' or 'off'"):
        run(Model(), torch.randn(5, 4), witness="sometimes")
