"""Weight standardization: the formula, and its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.backend.nn import standardize_weights

REAL = torch.float64


@pytest.mark.parametrize("linear", [True, False])
def test_standardized_weights(linear: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv1d(2, 2, 1), nn.Linear(5, 6))
    names = [*model.state_dict()]
    assert standardize_weights(model, linear=linear) is model
    assert [*model.state_dict()] == names
    x = torch.randn(1, 3, 5, 5)
    weight = model[0].weight.detach().numpy().astype(np.float64)
    rows = weight.reshape(4, -1)
    rows = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-5)
    expected = F.conv2d(x.double(), torch.from_numpy(rows.reshape(weight.shape)))
    bias = model[0].bias.detach().view(-1, 1, 1)
    torch.testing.assert_close(model[0](x), expected.float() + bias, rtol=1e-4, atol=1e-4)
    y = torch.randn(2, 5)
    changed = not torch.allclose(model[2](y), F.linear(y, model[2].weight, model[2].bias))
    assert changed == linear


def test_gradients_of_standardized_weights_are_orthogonal_to_one_and_to_the_weights() -> None:
    torch.manual_seed(0)
    layer = standardize_weights(nn.Sequential(nn.Conv2d(3, 4, 3))).to(REAL)[0]
    layer(torch.randn(1, 3, 5, 5, dtype=REAL)).pow(3).sum().backward()
    grad, weight = layer.weight.grad.flatten(1), layer.weight.detach().flatten(1)
    assert grad.norm(dim=1).min() > 1
    assert grad.mean(1).abs().max() < 1e-10
    centred = weight - weight.mean(1, keepdim=True)
    # The eps of 1e-5 beside the weights' variance keeps this from being exactly zero.
    share = 1e-5 / centred.square().mean(1)
    along = (grad * centred).sum(1) / (grad.norm(dim=1) * centred.norm(dim=1))
    assert (along.abs() <= 2 * share).all()
