"""What torch raised while it traced a model, in one voice: where, what, and what to change."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.backend.errors import UnsupportedError, UserError
from weft.compiler.capture.capture import capture

IMAGE, LABEL = torch.zeros(1, 1, 8, 8), torch.tensor([0])


def test_data_dependent_control_flow_is_refused_with_a_reason():
    class Branching(nn.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x

    with pytest.raises(UnsupportedError, match="Branching"):
        capture(Branching(), (torch.zeros(1, 4), LABEL), F.cross_entropy)


def test_a_copy_that_forward_makes():
    class Copying(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x):
            return copy.deepcopy(self.inner)(x)

    with pytest.raises(UnsupportedError, match=r"test_refusals.py:\d+[\s\S]*clone\(\)"):
        capture(Copying(), (torch.zeros(1, 4), LABEL), F.cross_entropy)


@pytest.mark.parametrize("label", [torch.tensor([[0]]), torch.tensor([0.0])])
def test_a_label_of_another_shape_or_type_is_laid_to_the_loss(label):
    with pytest.raises(UserError, match=r"^the loss[\s\S]*a target of the shape and type"):
        capture(nn.Linear(4, 3), (torch.zeros(1, 4), label), F.cross_entropy)
