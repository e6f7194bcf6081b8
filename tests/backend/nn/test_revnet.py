"""RevNets: published parameter counts; gradients of kept activations."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from weft.backend.errors import UserError
from weft.backend.nn.revnet import revnet

PARAMETERS = {38: 573_994, 110: 1_854_890}


@pytest.mark.parametrize("depth", PARAMETERS)
def test_parameters_are_the_published_ones(depth: int) -> None:
    with torch.device("meta"):
        model = revnet(depth, normalization="batch")
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[depth]


def test_gradients_equal_those_of_kept_activations() -> None:
    torch.manual_seed(0)
    model, kept = revnet(38).double(), revnet(38, keeps=True).double()
    kept.load_state_dict(model.state_dict())
    gradients = []
    for one in (model, kept):
        torch.manual_seed(1)
        for _ in range(2):
            x = torch.randn(1, 3, 16, 16, dtype=torch.float64)
            one.zero_grad()
            nn.functional.cross_entropy(one(x), torch.tensor([1])).backward()
        gradients.append([p.grad for p in one.parameters()] + list(one.buffers()))
    for mine, its in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-6, atol=1e-8)


def test_another_depth_is_refused() -> None:
    with pytest.raises(UserError, match="12n"):
        revnet(20)
