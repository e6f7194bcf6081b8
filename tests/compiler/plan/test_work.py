from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.stages_of import stages_of
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from weft.backend.flops import module_ledger
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


class Scaled(nn.Module):
    """A layer whose input has a gradient."""

    def __init__(self, layer: nn.Module, shape: tuple[int, ...]):
        super().__init__()
        self.scale, self.layer = nn.Parameter(torch.ones(shape)), layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x * self.scale)


LAYERS = {
    "linear": (nn.Linear(8, 6), (1, 8)),
    "tokens": (nn.Linear(8, 6), (1, 5, 8)),
    "1-d": (nn.Conv1d(8, 4, 3, padding=1), (1, 8, 6)),
    "strided": (nn.Conv2d(8, 4, 3, stride=2), (1, 8, 7, 7)),
    "dilated": (nn.Conv2d(8, 4, 3, dilation=2), (1, 8, 7, 7)),
    "3-d": (nn.Conv3d(4, 4, 2), (1, 4, 4, 4, 4)),
    "grouped": (nn.Conv2d(8, 4, 3, groups=4), (1, 8, 6, 6)),
    "depthwise": (nn.Conv2d(8, 8, 3, groups=8), (1, 8, 6, 6)),
    "transposed": (nn.ConvTranspose2d(8, 4, 2, stride=2), (1, 8, 4, 4)),
    "attention": (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), (1, 5, 8)),
}
TORCH_COUNTS_ELSE = {
    "grouped": "the weight's gradient as that of a dense convolution: 4 times",
    "depthwise": "the weight's gradient as that of a dense convolution: 8 times",
    "attention": "nothing for the fused attention of the CPU",
}


@pytest.mark.parametrize("name", LAYERS)
def test_ledger_plan_and_torch_agree_on_a_training_step(name: str):
    layer, shape = LAYERS[name]
    model, x = Scaled(layer, shape[1:]), torch.zeros(shape)
    with FlopCounterMode(display=False) as counter:
        model(x).square().sum().backward()
    stages = stages_of(model, x, F.mse_loss, model(x).detach())
    work = work_of(stages)
    priced = sum(
        operator.macs_dense
        for stage in map_kernels(stages, load_target("wse2")).stages
        for operator in stage.choices[0].operators
    )
    assert module_ledger(model, (x,)).training.dense == 2 * priced
    assert sum(stage.forward_macs + stage.backward_macs for stage in work) == priced
    assert sum(stage.backward_macs for stage in work) == 2 * sum(s.forward_macs for s in work)
    assert (counter.get_total_flops() == 2 * priced) == (name not in TORCH_COUNTS_ELSE)


def test_bytes_of_a_layer_by_hand():
    first = work_of(stages_of(MODELS["perceptron"][0], torch.zeros(1, 9)))[0]
    assert first.parameter_bytes == first.trainable_bytes == 4 * (9 * 16 + 16)
    assert (first.forward_macs, first.dtype) == (9 * 16, "float32")
    assert first.forward_bytes == 4 * (9 + 16) + first.saved_bytes
