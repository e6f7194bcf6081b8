"""RevNet blocks whose statistics, modes and casts hold when they are recomputed."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from helpers.reversible_training import train
from torch import nn
from weft.backend.errors import UserError
from weft.backend.nn.reversible import AdditiveCoupling, ReversibleSequence


def test_batch_statistics_advance_once() -> None:
    def block() -> nn.Module:
        return nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())

    torch.manual_seed(0)
    model = ReversibleSequence(*(AdditiveCoupling(block(), block()) for _ in range(2)))
    kept = deepcopy(model)
    kept.keeps = True
    inputs = [torch.randn(3, 2, 4, 8, 8), torch.randn(3, 2, 4, 8, 8)]
    for mine, its in zip(train(model, inputs), train(kept, inputs), strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-3, atol=1e-4)


def test_a_function_that_works_in_place_is_refused() -> None:
    model = ReversibleSequence(AdditiveCoupling(nn.ReLU(inplace=True), nn.Identity()))
    with pytest.raises(UserError, match="in place"):
        model(*(torch.randn(1, 4, requires_grad=True) * 1.0 for _ in range(2)))


def test_autocast_of_the_forward_holds_in_the_backward() -> None:
    torch.manual_seed(0)
    model = ReversibleSequence(*(AdditiveCoupling(nn.Linear(8, 8), nn.Linear(8, 8)) for _ in "ab"))
    kept = deepcopy(model)
    kept.keeps = True
    grads = []
    for one in (model, kept):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = one(torch.ones(2, 8), torch.ones(2, 8) / 3)
        sum(y.float().sum() for y in outputs).backward()
        grads.append([p.grad for p in one.parameters()])
    for mine, its in zip(*grads, strict=True):
        torch.testing.assert_close(mine, its, rtol=2e-2, atol=2e-2)
