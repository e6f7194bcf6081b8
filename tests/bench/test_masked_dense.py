"""Times of masked products are those of stages with masks, on one thread."""

from __future__ import annotations

import torch
import weft
from torch import nn
from weft.bench.masked_dense import masked_dense_us


def test_stages_with_masks_are_timed_and_threads_are_as_before() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    masks = {"2.weight": torch.rand(3, 5) < 0.5}
    sample = torch.zeros(1, 6), torch.zeros(1, 3)
    options = weft.Options(masks=masks)
    plan = weft.compile(model, sample, nn.functional.mse_loss, "tiny_mesh", options)
    threads = torch.get_num_threads()
    found = masked_dense_us(plan, rounds=1)
    assert len(found) == 1
    (name,) = found
    stage = next(stage for stage in plan.stages.stages if stage.name == name)
    assert "2.weight" in stage.parameters
    assert found[name] > 0
    assert torch.get_num_threads() == threads
