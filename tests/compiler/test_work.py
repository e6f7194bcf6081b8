"""The work of a plan's stages, as other programs ask for it."""

from __future__ import annotations

import pytest
import torch
import weft
from torch import nn
from weft.compiler.work import work_of


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_the_backward_of_a_convolution_is_twice_its_forward(groups: int) -> None:
    """By hand: each weight meets each position once in either gradient; 8 x 8 positions."""
    inner = nn.Conv2d(8, 8, 3, padding=1, groups=groups, bias=False)
    model = nn.Sequential(nn.Conv2d(8, 8, 1), inner, nn.Flatten(), nn.Linear(512, 3))
    sample = torch.zeros(1, 8, 8, 8), torch.tensor([0])
    plan = weft.compile(model, sample, "cross_entropy", "wse2")
    work = work_of(plan.stages)[1]
    assert work.forward_macs == 64 * 8 * (8 // groups) * 9
    assert work.backward_macs == 2 * work.forward_macs
