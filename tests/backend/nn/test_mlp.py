"""The perceptron of recipes: as many layers and weights as it says."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from weft.backend.nn.mlp import mlp


@pytest.mark.parametrize("hidden", [1, 4])
def test_layers_and_weights_by_hand(hidden: int) -> None:
    model = mlp(2, 5, "none", image_size=3, width=7, hidden=hidden)
    assert sum(isinstance(module, nn.Linear) for module in model.modules()) == hidden + 1
    weights = 2 * 9 * 7 + (hidden - 1) * 7 * 7 + 7 * 5 + 5  # only the last layer has a bias
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert sum(p.numel() for module in linear for p in module.parameters()) == weights
    assert model(torch.zeros(3, 2, 3, 3)).shape == (3, 5)
