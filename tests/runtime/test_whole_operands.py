"""Whole numbers, several types, numbers in Python, and images alone, against eager torch."""

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
    "sigmoid": lambda x: torch.sigmoid(x.int()) + torch.sigmoid(x > 2),
    "less than half": lambda x: (x * 7).int() >= 10.5,
    "more than -1 of 8 bits": lambda x: (x.abs() * 20).to(U8) > -1,
    "less than 300 of 8 bits": lambda x: (x.abs() * 20).to(U8) < 300,
    "more than 200 of 7 bits": lambda x: (x * 3).to(I8) > 200,
    "any of a dimension": lambda x: (x * 9).to(U8).any(-1, keepdim=True) + x,
    "a number less whole ones": lambda x: 2.5 - (x * 9).int(),
    "one less": lambda x: 1 - x,
    "a number over": lambda x: 2 / (x + 9),
    "a number to the power": lambda x: 2 ** (x / 10) + 2.0 ** (x > 2),
    "two to whole numbers": lambda x: torch.ldexp(x, (2 * x).int()),
    "sums of 32 bits": lambda x: (x * 6e8).clamp(-2e9, 2e9).int().cumsum(-1) / 1e9,
    "sum of 32 bits": lambda x: (x * 3e8).int().sum(-1, keepdim=True) / 1e9 + x,
    "product of 32 bits": lambda x: (x * 1e4).int().prod(-1, keepdim=True) / 1e18 + x,
    "products of 8 bits": lambda x: (x * 9).to(I8).prod(-1, keepdim=True) / 1e4 + x,
    "quotients": lambda x: (x * 3e8).int() // 7 % 1000,
    "quotients towards 0": lambda x: torch.div((x * 2e8).int(), 7, rounding_mode="trunc") % 1000,
    "quotients of each other": lambda x: (x * 3e8).int() // (x * 9).int() % 1000,
    "rounded": lambda x: ((x * 2e8).int() + 1).floor() % 1000,
    "places of the largest": lambda x: x.int().argmax(-1, keepdim=True) + (x > 2).max(-1)[1],
    "largest of 64 bits": lambda x: sum(x.long().max(-1, keepdim=True)) + x.long().argmin(),
    "largest of all": lambda x: x.amax() + (x * 9).int().amin(),
    "largest of windows": lambda x: F.max_pool2d((x * 9).int()[None], 2, 1, 1),
    "means of windows": lambda x: F.avg_pool2d(x[None], 2, 1, 1, count_include_pad=False),
    "windows": lambda x: F.unfold(x[None], 2, padding=1),
    "products of bytes": lambda x: (x * 9).to(I8).t() @ (x * 9).to(I8),
    "last of equal ones": lambda x: x.gather(1, (x > 2).long().cummax(-1).indices),
    "chosen of both": lambda x: torch.where(x > 2, (x * 9).int(), x),
    "joined": lambda x: torch.cat([(x * 9).int(), x > 2, x], 1),
    "large beside reals": lambda x: x + 2**40,
    "largest, if any": lambda x: sum(
        torch.where(x > 5, torch.nan, x).max(-1, keepdim=True)
    ).isnan(),
    "no number is smallest": lambda x: torch.where(x > 5, torch.nan, x).amin().isnan() + x.amin(),
    "place of no number": lambda x: torch.where(x > 2, torch.nan, x).argmax(-1, keepdim=True),
    "not finite": lambda x: torch.isnan(x.int()) | torch.isinf(x / (x - 3)),
}


class Found(nn.Module):
    """What each function finds, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.one * torch.cat(
            [found(x).reshape(1, -1).float() for found in FOUND.values()], 1
        )


@pytest.mark.parametrize("executor", ["reference", "jax", "torch-xla"])
def test_they_are_those_of_torch(executor: str) -> None:
    plan = weft.compile(Found(), (X, torch.tensor([1])), F.cross_entropy)
    made = torch.tensor(weft.predict(plan, X.numpy(), executor=executor)[0])[0]
    at = 0
    for name, function in FOUND.items():
        expected = function(X).float().flatten()
        found, at = made[at : at + len(expected)], at + len(expected)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5, msg=f"{name}: {found}")
