"""In what two steps differ by more than rounding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import weft
from torch import nn
from weft.compiler.witness.compare import relative_distance


def test_all_gradients_zero_but_for_rounding():
    class OneElement(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.tensor([0.3]))

        def forward(self, x):
            return F.layer_norm(x + self.shift, [1]).sum()

    assert weft.compile(OneElement(), (torch.tensor([[0.7]]),)).document.witness == "float64"


def test_weights_that_are_no_numbers_are_not_taken_for_changed():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift = nn.Parameter(torch.tensor([0.3, float("nan"), 1.0]))

        def forward(self, x):
            return torch.nansum(x + self.shift)

    assert weft.compile(Mean(), (torch.ones(1, 3) / 3,)).document.witness == "float64"


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("expected", "got", "distance"),
    [
        ([3.0, 4.0], [3.0, 4.5], 0.1),
        ([], [], 0.0),
        ([0.0], [0.0], 0.0),
        ([0.0], [1.0], INF),
        ([1.0, 2.0], [1.0], INF),
        ([1.0, 1.0], [1.0], INF),
        ([NAN, 4.0], [NAN, 3.0], 0.25),
        ([NAN, 4.0], [INF, 4.0], INF),
        ([INF, 4.0], [INF, 4.0], 0.0),
        ([INF, 4.0], [-INF, 4.0], INF),
        ([1.0, 4.0], [INF, 4.0], INF),
        ([1e200, 0.0], [1e200, 0.0], 0.0),
    ],
)
def test_distance_is_relative_and_infinite_where_one_is(expected, got, distance):
    given = torch.tensor(expected, dtype=torch.float64), torch.tensor(got, dtype=torch.float64)
    assert relative_distance(*given) == distance
