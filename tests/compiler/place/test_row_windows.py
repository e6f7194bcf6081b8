"""How many rows a stage needs to begin: by hand, and against what the numbers depend on."""

from __future__ import annotations

import pytest
import torch
from helpers.stages_of import stages_of
from torch import nn
from weft.compiler.place import row_windows
from weft.compiler.plan.program import TensorSpec
from weft.compiler.plan.stage_record import Tiling


def image_windows(layer, size=(1, 3, 16, 16)):
    """Windows of the stage that holds `layer`, which a 1 x 1 convolution follows."""
    model = nn.Sequential(layer, nn.LazyConv2d(2, 1), nn.Flatten(), nn.LazyLinear(3))
    model(torch.zeros(size))
    program = stages_of(model, torch.zeros(size)).stages[0].program
    return row_windows.windows(program)


@pytest.mark.parametrize(
    ("layer", "rows"),
    [
        (nn.Conv2d(3, 4, 1), 1),
        (nn.Conv2d(3, 4, 3), 3),
        (nn.Conv2d(3, 4, 3, padding=1), 2),
        (nn.Conv2d(3, 4, 7, stride=2, padding=3), 4),
        (nn.Conv2d(3, 4, 3, dilation=2), 5),
        (nn.Sequential(nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(3, 4, 3)), 2 + 2 * 2),
        (nn.Sequential(nn.Softmax(dim=-1), nn.Conv2d(3, 4, 1)), 1),
        (nn.Sequential(nn.Softmax(dim=2), nn.Conv2d(3, 4, 1)), 16),
        (nn.ConvTranspose2d(3, 4, 3), 16),
    ],
)
def test_windows_of_images(layer, rows):
    assert image_windows(layer) == (rows,)


class Attention(nn.Module):
    """Queries meet all keys; the projection and the residual sum go token by token."""

    def __init__(self):
        super().__init__()
        self.norm, self.query = nn.LayerNorm(8), nn.Linear(8, 8)
        self.key, self.out = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        h = self.norm(x)
        scores = torch.softmax(self.query(h) @ self.key(h).transpose(1, 2), -1)
        return (x + self.out(scores @ h)).sum(2)


def test_windows_of_attention():
    """A product of two activations takes its left factor row by row and needs all of the right."""
    stages = stages_of(Attention(), torch.zeros(1, 6, 8)).stages
    windows = {stage.name: row_windows.windows(stage.program) for stage in stages}
    assert windows["query"] == windows["key"] == (1,)
    products = [found for name, found in windows.items() if len(found) == 2 and "matmul" in name]
    assert products
    assert all(sorted(found) == [1, 6] for found in products)


def test_parts_are_the_rows_that_a_pe_goes_through():
    image = TensorSpec((1, 64, 56, 56), "float32")
    one, many = Tiling(8, 1, 8), Tiling(1, 137, 8)
    assert row_windows.parts(image, [one], 2, False) == row_windows.Parts(56, 2, 2)
    assert row_windows.parts(image, [one, many], 2, False) == row_windows.Parts(23, 1, 1)
    assert row_windows.parts(image, [one], 56, False) == row_windows.Parts(56, 56, 56)
    assert row_windows.parts(image, [one], 1, True) == row_windows.Parts(56, 1, 56)
    assert row_windows.parts(TensorSpec((1, 10), "float32"), [one], 1, False).count == 1
