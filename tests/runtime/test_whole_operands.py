"""Operators by element of whole numbers and of numbers in Python, against eager torch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import weft
from torch import nn

U8, I8 = torch.uint8, torch.int8
X = torch.tensor([[-1.5, 3.0, 7.0, 2.25]])
FOUND = {
    "8 bits by 256": lambda x: (x.abs() * 20).to(U8) / 256,
    "by 2.5": lambda x: (x * 100).int() / 2.5,
    "rest of 2.5": lambda x: (x * 9).int() % 2.5,
    "between reals": lambda x: (x * 9).int().clamp(-2.5, 3.5),
    "sigmoid": lambda x: torch.sigmoid(x.int()),
    "less than half": lambda x: ((x * 7).int() >= 10.5).float(),
    "more than -1 of 8 bits": lambda x: ((x.abs() * 20).to(U8) > -1).float(),
    "less than 300 of 8 bits": lambda x: ((x.abs() * 20).to(U8) < 300).float(),
    "more than 200 of 7 bits": lambda x: ((x * 3).to(I8) > 200).float(),
    "any of a dimension": lambda x: (x * 9).to(U8).any(-1, keepdim=True) + x,
    "a number less whole ones": lambda x: 2.5 - (x * 9).int(),
    "one less": lambda x: 1 - x,
    "a number over": lambda x: 2 / (x + 9),
    "a number to the power": lambda x: 2 ** (x / 10),
    "two to whole numbers": lambda x: torch.ldexp(x, (2 * x).int()),
    "sums of 32 bits": lambda x: (x * 6e8).clamp(-2e9, 2e9).int().cumsum(-1) / 1e9,
    "sum of 32 bits": lambda x: (x * 3e8).int().sum(-1, keepdim=True) / 1e9 + x,
    "product of 32 bits": lambda x: (x * 1e4).int().prod(-1, keepdim=True) / 1e18 + x,
    "products of 8 bits": lambda x: (x * 9).to(I8).prod(-1, keepdim=True) / 1e4 + x,
}


class Before(nn.Module):
    """A function of the input before a layer."""

    def __init__(self, function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head, self.function = nn.Linear(4, 3), function

    def forward(self, x):
        return self.head(self.function(x).float())


@pytest.mark.parametrize("executor", ["reference", "jax", "torch-xla"])
@pytest.mark.parametrize("function", FOUND.values(), ids=FOUND)
def test_they_are_those_of_torch(function, executor: str) -> None:
    model = Before(function)
    plan = weft.compile(model, (X, torch.tensor([1])), F.cross_entropy)
    made = weft.predict(plan, X.numpy(), executor=executor)[0]
    torch.testing.assert_close(torch.tensor(made), model(X).detach(), rtol=1e-5, atol=1e-5)
