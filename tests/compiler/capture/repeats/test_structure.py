"""Capture with repeated blocks traced twice gives what tracing every block gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from helpers.chains import Block, Chain, captured, in_full
from torch import Tensor, nn
from weft.backend.nn.online_norm import OnlineNorm
from weft.backend.nn.resnet import resnet

IMAGE = (torch.zeros(1, 3, 16, 16), torch.tensor([0]))


def check_same(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, sample: tuple[Tensor, ...], loss: Any
) -> None:
    short = captured(model, sample, loss)
    in_full(monkeypatch)
    assert short == captured(model, sample, loss)


def test_blocks_of_torch(monkeypatch: pytest.MonkeyPatch):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
    check_same(monkeypatch, model, (torch.randn(1, 4, 8), torch.randn(1, 4, 8)), F.mse_loss)


def test_residual_network_with_streaming_statistics(monkeypatch: pytest.MonkeyPatch):
    model = resnet(20)
    assert any(isinstance(module, OnlineNorm) for module in model.modules())
    check_same(monkeypatch, model, IMAGE, F.cross_entropy)


def test_tied_weights_and_hooks_keep_their_blocks_apart(monkeypatch: pytest.MonkeyPatch):
    model = Chain(Block)
    model.blocks[1].inner[0].weight = model.blocks[4].inner[0].weight
    model.blocks[2].register_forward_hook(lambda module, args, result: result * 2)
    check_same(monkeypatch, model, (torch.randn(1, 4, 8), torch.randn(1, 4, 8)), F.mse_loss)
