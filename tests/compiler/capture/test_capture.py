from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.backend.errors import UserError
from weft.backend.nn.resnet import resnet
from weft.compiler.capture.capture import capture

IMAGE, LABEL = torch.zeros(1, 1, 8, 8), torch.tensor([0])


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
