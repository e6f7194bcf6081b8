"""Options of operators under `dynamic=True`, where dynamo makes tensors of numbers."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
import weft
from torch import Tensor, nn


class Options(nn.Module):
    """An eps, a slope, a probability, a beta computed from a number; a factor that changes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)
        self.norm, self.act, self.drop = nn.LayerNorm(5), nn.LeakyReLU(0.1), nn.Dropout(0.0)
        self.beta, self.factor = 1.5, 1.0

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.drop(self.act(self.norm(self.first(x))))
        return F.softplus(self.second(hidden), beta=self.beta * 2) * self.factor


def test_every_batch_size_gives_eagers_numbers() -> None:
    eager = Options().double()
    model = copy.deepcopy(eager)
    compiled = torch.compile(model, backend="weft", dynamic=True)
    for batch in (4, 3, 1, 3):
        eager.factor = model.factor = 0.1 * batch
        x = torch.randn(batch, 4).double()
        expected, got = eager(x), compiled(x)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
        expected.square().sum().backward()
        got.square().sum().backward()
    for own, other in zip(model.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad, rtol=0, atol=1e-12)


def test_another_option_is_another_graph() -> None:
    eager = Options()
    model = copy.deepcopy(eager)
    compiled = torch.compile(model, backend="weft", dynamic=True)
    x = torch.randn(2, 4)
    for eps in (1e-5, 0.5, 1e-5):
        eager.norm.eps = model.norm.eps = eps
        torch.testing.assert_close(compiled(x), eager(x))
    assert len(weft.plans_of(compiled)) == 2
