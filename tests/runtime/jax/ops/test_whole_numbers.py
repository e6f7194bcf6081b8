"""Integers of 64 bits, which jax has only where it is told so, against eager torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from torch import nn
from weft.backend.errors import UserError


class Whole(nn.Module):
    """Four whole numbers; `found` is what is computed with them."""

    def __init__(self, found) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.found = found
        self.table, self.head = nn.Embedding(97, 2), nn.Linear(8, 3)
        self.register_buffer("primes", torch.tensor([2, 3, 2_147_483_629, 7]))

    def forward(self, x):
        return self.head(F.pad(self.found(self, x).flatten(1), (0, 8))[:, :8])


FOUND = {
    "hashed": lambda m, x: m.table((x * 16_777_619) % 97),
    "hashed by a long constant": lambda m, x: m.table((x * 2_654_435_761) % 97),
    "squared": lambda m, x: (x * x).float() / 1e12,
    "summed": lambda m, x: (x * x).sum(-1, keepdim=True) / 1e12,
    "mixed": lambda m, x: (x * x) * m.head.bias[0],
    "by a constant": lambda m, x: (x * m.primes).float() / 1e14,
    "divided": lambda m, x: x.float() / 2**40,
    "of reals": lambda m, x: (x.float() * 1e5).long() % 1000 / 1e3,
    "compared": lambda m, x: (x * x > 3_000_000_000).float(),
    "sorted": lambda m, x: torch.topk((x * x).float(), 2)[1].float(),
}


@pytest.mark.parametrize("found", FOUND.values(), ids=FOUND)
def test_they_are_those_of_torch(found) -> None:
    model, numbers = Whole(found), torch.tensor([[500_000, 1_000, 20, 3]])
    plan = weft.compile(model, (numbers, torch.tensor([1])), F.cross_entropy)
    made = weft.predict(plan, numbers.numpy())[0]
    np.testing.assert_allclose(made, model(numbers).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_samples_that_jax_cannot_hold_are_refused() -> None:
    example = torch.tensor([[0, 1, 2, 3]]), torch.tensor([1])
    plan = weft.compile(Whole(FOUND["divided"]), example, F.cross_entropy)
    with pytest.raises(UserError, match="in 32 bits"):
        weft.predict(plan, np.array([[2**40, 1, 2, 3]]))
