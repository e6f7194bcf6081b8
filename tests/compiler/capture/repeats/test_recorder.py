"""The trace of a model whose repeated blocks run twice at most."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from helpers.chains import Block, Chain, Scaled
from torch import nn
from weft.compiler.capture.capture import capture


def test_classes_are_as_before_after_a_capture():
    before = [dict(vars(kind)) for kind in (Block, Scaled, nn.Module)]
    capture(Chain(Scaled), (torch.randn(1, 4, 8), torch.randn(1, 4, 8)), F.mse_loss)
    assert [dict(vars(kind)) for kind in (Block, Scaled, nn.Module)] == before
