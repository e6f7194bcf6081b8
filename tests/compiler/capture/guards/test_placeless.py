"""A model on the meta device means what it means with weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import weft
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from weft.compiler.capture.guards.placeless import meta_as_cpu


class Literals(nn.Module):
    """Writes numbers down in each of the ways that take the device of a tensor."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.listed = [self.layer.weight]

    def forward(self, x):
        y = self.layer(x) * torch.tensor(2.5, device=x.device) + x.new_tensor([1.0, 2.0, 3.0, 4.0])
        y = y[:, [0, 2]] + torch.as_tensor([3.0, 4.0], device=x.device)
        y[0, 1] = 7.0
        return (y * torch.arange(2.0) * self.listed[0].sum()).sum()


class Attribute(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.scale = nn.Linear(4, 4), torch.ones(4)

    def forward(self, x):
        return (self.layer(x) * self.scale).sum()


def compiled(kind, device):
    torch.manual_seed(0)
    with torch.device(device):
        model, x = kind(), torch.randn(1, 4)
    return weft.compile(model, (x,), target="tiny_mesh")


def test_numbers_that_a_forward_writes_down_are_kept():
    graphs = []
    for device in ("meta", "cpu"):
        with torch.device(device):
            model, x = Literals(), torch.randn(1, 4)
        graph = weft.compiler.capture.capture.capture(model, (x,), None)
        graphs.append({name: value.tolist() for name, value in graph.constants.items()})
    assert graphs[0] == graphs[1]
    assert list(graphs[0].values())[:2] == [2.5, [1.0, 2.0, 3.0, 4.0]]
    assert compiled(Literals, "meta").document.witness == "float64"


@pytest.mark.parametrize(("device", "witness"), [("meta", "structure"), ("cpu", "float64")])
def test_a_constant_that_has_no_numbers_is_held_against_nothing(device, witness):
    assert compiled(Attribute, device).document.witness == witness


class _Counting(TorchFunctionMode):
    """Counts what torch is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_no_mode_is_told_how_a_fake_tensor_is_made(device: str) -> None:
    weight, plain, inside = nn.Parameter(torch.ones(2, 3, device=device)), _Counting(), _Counting()
    with plain:
        FakeTensorMode().from_tensor(weight)
    with meta_as_cpu(), inside:
        made = FakeTensorMode().from_tensor(weight)
    assert inside.calls < plain.calls / 10
    assert isinstance(made, FakeTensor)
    assert isinstance(made, nn.Parameter)
    assert made.shape == (2, 3)
    assert made.requires_grad
    assert made.device.type == "cpu"
