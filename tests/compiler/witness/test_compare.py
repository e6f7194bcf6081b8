"""In what two steps differ by more than rounding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import weft
from torch import nn


def test_all_gradients_zero_but_for_rounding():
    class OneElement(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.tensor([0.3]))

        def forward(self, x):
            return F.layer_norm(x + self.shift, [1]).sum()

    assert weft.compile(OneElement(), (torch.tensor([[0.7]]),)).document.witness == "float64"


def test_weights_that_are_no_numbers_are_not_taken_for_changed():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.tensor([0.3, float("nan"), 1.0]))

        def forward(self, x):
            return torch.nansum(x + self.shift)

    assert weft.compile(Mean(), (torch.ones(1, 3) / 3,)).document.witness == "float64"
