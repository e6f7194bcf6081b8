from __future__ import annotations

import pytest
import torch
from helpers.stages_of import stages_of
from torch import nn
from weft.compiler.mapping.map import map_kernels
from weft.compiler.plan.work import work_of
from weft.compiler.targets import load_target

MODELS = {
    "perceptron": (nn.Sequential(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, 3)), (1, 9)),
    "convolutions": (
        nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(4, 6, 3),
            nn.Flatten(),
            nn.Linear(24, 3),
        ),
        (1, 2, 8, 8),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_torch_counts_the_macs_that_the_kernels_are_priced_for(name: str):
    """Two independent counts: torch's FLOP formulas here, the kernels' own in the plan."""
    model, shape = MODELS[name]
    stages = stages_of(model, torch.zeros(shape))
    kernels = map_kernels(stages, load_target("wse2"))
    for work, kernel in zip(work_of(stages), kernels.stages, strict=True):
        priced = sum(operator.macs_dense for operator in kernel.choices[0].operators)
        assert work.forward_macs + work.backward_macs == priced


def test_bytes_of_a_layer_by_hand():
    first = work_of(stages_of(MODELS["perceptron"][0], torch.zeros(1, 9)))[0]
    assert first.parameter_bytes == first.trainable_bytes == 4 * (9 * 16 + 16)
    assert (first.forward_macs, first.dtype) == (9 * 16, "float32")
    assert first.forward_bytes == 4 * (9 + 16) + first.saved_bytes
