"""A run as records: what is asked for is what `weft.train` asks for, and nothing can be changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import weft
from helpers.eager_loop import assert_trained_alike
from helpers.short_runs import short_data, short_plan
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from weft.compiler.plan.plan import Plan
from weft.runtime.data import Dataset
from weft.runtime.training.run import Run, phase_name


@pytest.fixture(scope="module")
def plan() -> Plan:
    return short_plan()


@pytest.fixture(scope="module")
def data() -> Dataset:
    return short_data()


def test_a_run_is_what_weft_train_does(plan: Plan, data: Dataset) -> None:
    own = Run(plan, data, ("epochs=2",), executor="reference").train()
    same = weft.train(plan, data, epochs=2, executor="reference")
    assert np.array_equal(own.losses, same.losses)
    assert len(own.losses) == 32


def test_directories_of_phases_count_from_one() -> None:
    assert [phase_name(number) for number in range(2)] == ["phase-1", "phase-2"]


class Ratings(nn.Module):
    """A user and an item, a number each, and the rating of one by the other."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(5, 4), nn.Embedding(3, 4)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        return (self.users(user) * self.items(item)).sum(-1)


def test_a_sample_may_be_one_number() -> None:
    rows = torch.Generator().manual_seed(1)
    users, items = (torch.randint(0, n, (8,), generator=rows) for n in (5, 3))
    assert_trained_alike(Ratings, mse_loss, users, items, torch.randn(8, generator=rows))
