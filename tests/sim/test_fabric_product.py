"""Ten kernels of compiled plans, PE by PE, against the cycles that the event level uses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.backend.errors import UserError
from weft.compiler.pipeline import compile_model
from weft.compiler.targets import load_target
from weft.sim import simulate
from weft.sim.fabric import forward_cycles

WSE2 = load_target("wse2")


def small(rows, columns):
    """A corner of the wafer, so that a kernel has work on every PE."""
    return replace(WSE2, grid=replace(WSE2.grid, rows=rows, columns=columns))


def linear(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, outputs), nn.Linear(outputs, 3)), (1, inputs)


def tokens(count, inputs, outputs):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.Linear(inputs, outputs), nn.Linear(outputs, 3)

        def forward(self, x):
            return self.head(self.layer(x).mean(1))

    return Tokens(), (1, count, inputs)


def image(channels, features, kernel, pixels):
    layers = nn.Conv2d(channels, features, kernel, bias=False), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 3)), (
        1,
        channels,
        pixels,
        pixels,
    )


KERNELS = {
    "linear 64 x 64": (linear(64, 64), (8, 16)),
    "linear 256 x 128": (linear(256, 128), (16, 16)),
    "linear 400 x 50": (linear(400, 50), (12, 20)),
    "linear 32 x 500": (linear(32, 500), (8, 30)),
    "16 tokens, 64 x 64": (tokens(16, 64, 64), (12, 12)),
    "50 tokens, 32 x 96": (tokens(50, 32, 96), (16, 16)),
    "128 tokens, 16 x 16": (tokens(128, 16, 16), (16, 8)),
    "1 x 1 convolution": (image(32, 32, 1, 8), (16, 12)),
    "wide 1 x 1 convolution": (image(64, 128, 1, 6), (20, 20)),
    "tall 1 x 1 convolution": (image(128, 16, 1, 12), (20, 12)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_event_and_fabric_agree(name):
    """The first stage's forward: what the event level spends on a sample, and stepped."""
    (model, shape), grid = KERNELS[name]
    target = small(*grid)
    sample = (torch.zeros(shape), torch.zeros(1, dtype=torch.long))
    plan = compile_model(model, sample, F.cross_entropy, target)
    spent = simulate(plan, 1).stages[0].forward_cycles
    assert plan.document.stages[0].region.area > 8
    assert forward_cycles(plan, 0, target) == pytest.approx(spent, rel=0.05)


def test_a_stage_that_is_not_one_product_is_refused():
    model, shape = image(8, 8, 1, 4)
    sample = (torch.zeros(shape), torch.zeros(1, dtype=torch.long))
    plan = compile_model(model, sample, F.cross_entropy, small(16, 16))
    with pytest.raises(UserError, match="one product with a weight"):
        forward_cycles(plan, len(plan.document.stages) - 1, small(16, 16))
