from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.staged import forward_backward
from torch import nn
from weft.compiler.capture.capture import capture
from weft.compiler.emit.emit import Labels, emit
from weft.compiler.mapping.map import map_kernels
from weft.compiler.place.place import place
from weft.compiler.plan.check import check
from weft.compiler.plan.training import Training
from weft.compiler.stages.cut import cut
from weft.compiler.targets.load import load_target


class Tied(nn.Module):
    """An embedding whose table is also the last layer, and one layer used twice with a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 6)
        self.layer = nn.Linear(6, 6)
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.table.weight
        self.register_buffer("frequencies", torch.arange(6.0) / 6)

    def forward(self, tokens):
        hidden = self.table(tokens)
        for _ in range(2):
            hidden = torch.tanh(self.layer(hidden)) * torch.cos(self.frequencies)
        return self.head(hidden).transpose(1, 2)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Tied().double()


TOKENS, TARGET = torch.tensor([[0, 3, 6, 3]]), torch.tensor([[1, 2, 3, 4]])


@pytest.fixture(scope="module")
def stages(model):
    return cut(capture(model, (TOKENS, TARGET), F.cross_entropy))


def test_every_tensor_has_one_owner_and_the_first_name(stages):
    owned = [name for stage in stages.stages for name in stage.tensors]
    assert sorted(owned) == ["frequencies", "layer.bias", "layer.weight", "table.weight"]


def test_the_owner_comes_first_and_streams_the_weight(stages):
    owner = next(stage for stage in stages.stages if "table.weight" in stage.parameters)
    head = next(stage for stage in stages.stages if stage.name.startswith("head"))
    assert owner.index == 0
    sent = [source for source in head.inputs if source.stage == owner.index]
    assert [owner.program.outputs[source.output].shape for source in sent] == [(7, 6)]
    assert owner.program.output_needs_grad[sent[0].output]


def test_gradients_of_all_uses_add_up(model, stages):
    tensors = {name: value.detach() for name, value in model.state_dict().items()}
    loss, _, gradients, _ = forward_backward(stages, tensors, (TOKENS, TARGET))
    expected = F.cross_entropy(model(TOKENS), TARGET)
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=1e-12)
    assert gradients.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-9, atol=1e-12)


def test_cutting_leaves_the_graph_as_it_was(model):
    graph = capture(model, (TOKENS, TARGET), F.cross_entropy)
    before = str(graph.module.graph)
    first, second = cut(graph), cut(graph)
    assert str(graph.module.graph) == before
    assert [s.program.key for s in first.stages] == [s.program.key for s in second.stages]


def test_the_plan_is_sound():
    target = load_target("wse2")
    stages = cut(capture(Tied(), (TOKENS, TARGET), F.cross_entropy))
    placement = place(stages, map_kernels(stages, target))
    plan = emit(stages, placement, {}, Training(), Labels("tied"))
    assert check(plan.document, target, plan.programs) == ()
