"""Lets a model draw the numbers that its plan draws: draw n of a sample is that of place n."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.witnessed import compiled
from torch import nn
from weft.backend.errors import UserError


def test_a_model_that_draws_the_same_for_every_sample_is_refused():
    class Seeded(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x):
            torch.manual_seed(0)
            return self.inner(F.dropout(x, 0.5))

    with pytest.raises(UserError, match="seed"):
        compiled(Seeded())
