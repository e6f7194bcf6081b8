"""Stages that a tied weight joins, and a stage's program when its weight lies in its own region."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.staged import forward_backward
from helpers.tied_stages import TARGET, TOKENS, tied_model, tied_stages
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut


@pytest.fixture(scope="module")
def model():
    return tied_model()


@pytest.fixture(scope="module")
def stages(model):
    return tied_stages(model)


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
