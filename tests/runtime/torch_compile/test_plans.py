"""Plans of modules that were compiled in place."""

from __future__ import annotations

import pytest
import torch
import weft
from torch import nn
from weft.backend.errors import UserError


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_a_module_that_was_compiled_in_place_has_its_plan() -> None:
    model = Own()
    model.compile(backend="weft")
    model(torch.randn(1, 4)).sum().backward()
    plan = weft.plan_of(model)
    assert torch.equal(plan.tensors["layer.weight"], model.layer.weight)


def test_one_of_torchs_own_classes_has_its_plan_or_is_told_that_torch_does_not_trace_it() -> None:
    """Torch 2.9 runs its own classes as they are; 2.14 compiles them."""
    model = nn.Sequential(nn.Linear(4, 3))
    model.compile(backend="weft")
    model(torch.randn(1, 4)).sum().backward()
    if torch.__version__ >= "2.10":
        assert torch.equal(weft.plan_of(model).tensors["0.weight"], model[0].weight)
        return
    with pytest.raises(
        UserError, match=r"torch\.nn\.Sequential\.compile(.|\n)*torch\.compile\(model"
    ):
        weft.plan_of(model)
