"""What agrees with the model but for rounding, or what torch's own kernels round, is no mistake."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from torch import nn


class Function(nn.Module):
    """Calls a function between two layers."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.second(self.function(self.first(x)))


SAME = {
    "hard sigmoid, whose kernel rounds a sixth to float32": F.hardsigmoid,
    "a norm over one element, which is zero": lambda h: F.layer_norm(h[:, :, None], [1])[:, :, 0],
    "a norm whose backward is written in place": lambda h: h / torch.linalg.vector_norm(h, 3),
    "a change in place of another name": lambda h: h.clone().pow_(3.0),
    "a draw around what is computed, by which torch has no derivative": lambda h: (
        torch.normal(h, h.abs()) + h
    ),
    "literals and new tensors": lambda h: (
        h * torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.7])
        + torch.linspace(0, 1, 6)
        + torch.full((6,), 0.3)
        + torch.arange(0, 0.6, 0.1)
    ),
    "a literal that is assigned": lambda h: h.index_put((h > 0.1,), torch.tensor(0.1)),
    "an array of float32": lambda h: h * torch.from_numpy(np.float32([0.1] * 6)),
    "strides": lambda h: torch.as_strided(h, (2, 1, 1, 3), (1, 7, 7, 1)).reshape(1, 6),
    "strides that overlap": lambda h: h.unfold(1, 4, 1).sum(2).repeat(1, 2),
}


@pytest.mark.parametrize("name", SAME)
def test_the_model_compiles(name):
    torch.manual_seed(0)
    sample = torch.randn(1, 4), torch.tensor([1])
    plan = weft.compile(Function(SAME[name]), sample, F.cross_entropy, "wse2")
    assert plan.document.witness == "float64"


def test_dropout_between_layers_over_time():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.GRU(4, 3, 2, batch_first=True, dropout=0.2, bidirectional=True)

        def forward(self, x):
            return self.layers(x)[0].sum()

    assert weft.compile(Twice(), (torch.randn(1, 5, 4),)).document.witness == "float64"
