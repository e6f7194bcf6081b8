"""One floating-point type for a whole computation, whatever types its operators ask for."""

from __future__ import annotations

import torch
from torch import nn
from weft.compiler.capture.sample import OneSample
from weft.compiler.witness.witness import level_of


def test_large_models_are_run_in_single_precision_or_not_at_all():
    def level(width, device):
        with torch.device(device):
            return level_of(OneSample(nn.Linear(width, width), None))

    assert level(4400, "meta") == "float64"
    assert level(4500, "meta") == "float32"
    assert level(24000, "meta") == "structure"
