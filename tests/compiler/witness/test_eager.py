"""The module itself, run once by torch: what the stages are held against."""

from __future__ import annotations

import copy

import pytest
import torch
import weft
from helpers.witnessed import Counting, compiled
from torch import nn
from weft.backend.errors import UserError


def test_the_model_is_afterwards_as_it_was():
    torch.manual_seed(0)
    model = Counting()
    model.first.weight.grad = torch.ones(6, 4)
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(7)
    compiled(model)
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(7)))
    assert (model.calls, model.kept) == (0, [])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.first.weight.dtype is torch.float32
    assert torch.equal(model.first.weight.grad, torch.ones(6, 4))
    assert model.first.bias.grad is None


def test_evaluated_parts_and_frozen_parts_stay_so():
    model = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 3))
    model[1].eval()
    model[0].requires_grad_(False)
    _, verdict = compiled(model)
    assert verdict.counts["draw"] == 0
    assert verdict.counts["gradient"] == 2


def test_a_label_without_a_score_is_the_users_mistake() -> None:
    sample = torch.zeros(1, 4), torch.full((1,), 99)
    with pytest.raises(UserError, match="Target 99 is out of bounds"):
        weft.compile(nn.Linear(4, 10), sample, nn.functional.cross_entropy, "tiny_mesh")
