"""The model itself is held against its stages when it is compiled."""

from __future__ import annotations

import pytest
import torch
import weft
from helpers.witnessed import Counting, compiled
from torch import nn
from weft.backend.errors import UserError


def test_what_is_compared_is_counted_and_written_into_the_plan():
    plan, verdict = compiled(Counting())
    assert plan.document.witness == verdict.level == "float64"
    assert verdict.counts["gradient"] == 4
    assert verdict.counts["draw"] == verdict.counts["buffer"] == verdict.counts["output"] == 1
    assert verdict.distance < 1e-14


def test_without_a_witness_the_plan_says_so():
    plan, verdict = compiled(Counting(), witness=False)
    assert verdict is None
    assert plan.document.witness == "off"


def test_masks_in_force_do_not_count_as_a_difference():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    weft.sparsity.Sparsifier(model, torch.optim.SGD(model.parameters(), 0.1), 0.5)
    zeros = int((model[0].weight == 0).sum())
    plan, _ = compiled(model)
    assert plan.document.witness == "float64"
    assert int((model[0].weight == 0).sum()) == zeros


@pytest.mark.parametrize(
    ("x", "label", "said"),
    [
        (torch.zeros(1, 4), torch.tensor([7]), "out of bounds"),
        (torch.zeros(1, 4, dtype=torch.int64), torch.tensor([0]), "same dtype"),
    ],
)
def test_a_sample_that_the_model_itself_cannot_take(x, label, said):
    with pytest.raises(UserError, match=rf"one step of Linear[\s\S]*{said}"):
        weft.compile(nn.Linear(4, 3), (x, label), "cross_entropy")
