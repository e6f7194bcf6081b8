"""A sample exported by torch, with what torch.export would lose noted beside it."""

from __future__ import annotations

import pytest
import torch
import torch.export._trace as export_module
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


def test_torch_tells_a_mistake_once_in_the_message_and_not_in_its_log(caplog):
    with pytest.raises(UserError, match=r"got \[1, 16\] X \[64, 3\]"):
        capture(nn.Linear(64, 3), (torch.zeros(1, 16), torch.zeros(1, 3)), F.mse_loss)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


class _Asks(nn.Module):
    """Asks for a value of a tensor, as nn.TransformerEncoder does of its mask."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.register_buffer("mask", torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer(x)
        return x if bool((self.mask == x).all()) else -x


def test_torch_prints_no_graph_of_what_it_refuses(capfd: pytest.CaptureFixture[str]) -> None:
    sample = torch.zeros(1, 4), torch.zeros(1, 4)
    with pytest.raises(UnsupportedError, match="Python reads the value of a tensor"):
        capture(_Asks(), sample, F.mse_loss)
    assert capfd.readouterr().err == ""
    assert "print" not in vars(export_module)
