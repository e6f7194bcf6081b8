"""Which saved values are statistics."""

from __future__ import annotations

import torch
from helpers.stages_of import stages_of
from torch import nn
from weft.runtime.tick.statistics import statistics


def test_sums_and_what_follows_from_them_alone_are_statistics() -> None:
    norm = nn.LayerNorm(8)
    (stage,) = stages_of(norm, torch.zeros(1, 8)).stages[:1]
    program = stage.program
    found = dict(zip((spec.shape for spec in program.saved), statistics(program), strict=True))
    assert True in found.values()
    assert all(not is_told for shape, is_told in found.items() if shape[-1:] == (8,))


def test_a_layer_without_sums_has_none() -> None:
    stages = stages_of(
        nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)), torch.zeros(1, 5)
    )
    assert not any(statistics(stages.stages[0].program))
