from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.backend.errors import UnsupportedError, UserError
from weft.backend.nn.resnet import resnet
from weft.compiler.capture.capture import capture

IMAGE, LABEL = torch.zeros(1, 1, 8, 8), torch.tensor([0])


def test_meta_model_is_captured_without_weights():
    with torch.device("meta"):
        model = resnet(8, in_channels=1)
    graph = capture(model, (IMAGE.to("meta"), LABEL.to("meta")), F.cross_entropy)
    names = [name for name, _ in model.named_parameters()]
    assert sorted(graph.parameters.values()) == sorted(names)


def test_mode_of_the_model_is_restored():
    model = resnet(8, in_channels=1).eval()
    model.blocks[0].train()
    before = [module.training for module in model.modules()]
    capture(model, (IMAGE, LABEL), F.cross_entropy)
    assert [module.training for module in model.modules()] == before


def test_capture_changes_no_weight_and_no_state():
    model = resnet(8, in_channels=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    capture(model, (torch.randn(1, 1, 8, 8), LABEL), F.cross_entropy)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_every_call_names_its_module_and_line():
    graph = capture(resnet(8, in_channels=1), (IMAGE, LABEL), F.cross_entropy)
    calls = [n for n in graph.module.graph.nodes if n.op == "call_function"]
    convolutions = [n for n in calls if "conv2d" in str(n.target)]
    assert {str(n.meta["origin"].module) for n in convolutions} >= {"stem", "blocks.0.conv1"}
    assert all(n.meta["origin"].file == "weft/backend/nn/resnet.py" for n in convolutions)
    assert all(n.meta["origin"].line > 0 for n in convolutions)


def test_a_model_that_returns_its_own_loss():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x, y):
            prediction = self.layer(x)
            return F.cross_entropy(prediction, y), prediction

    graph = capture(Own(), (torch.zeros(1, 4), LABEL), None)
    assert len(graph.inputs) == 2
    assert len(graph.predictions) == 1


def test_batch_is_refused():
    with pytest.raises(UserError, match="single sample"):
        capture(resnet(8, in_channels=1), (torch.zeros(2, 1, 8, 8), LABEL), F.cross_entropy)


def test_loss_that_is_no_scalar_is_refused():
    with pytest.raises(UserError, match="floating-point scalar"):
        capture(resnet(8, in_channels=1), (IMAGE, LABEL), lambda p, y: p)


def test_data_dependent_control_flow_is_refused_with_a_reason():
    class Branching(nn.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x

    with pytest.raises(UnsupportedError, match="Branching"):
        capture(Branching(), (torch.zeros(1, 4), LABEL), F.cross_entropy)
