"""Stage programs, each distinct one traced once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from helpers.cut_networks import LABEL, cut_of
from torch import nn
from weft.compiler.capture.capture import capture
from weft.compiler.stages.recompute import recompute


def test_equal_blocks_share_one_program():
    layers = nn.ModuleList(
        nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8)) for _ in "12345"
    )
    model = nn.Sequential(nn.Linear(4, 8), nn.Sequential(*layers), nn.Linear(8, 5))
    graph = capture(model, (torch.zeros(1, 4), LABEL), F.cross_entropy)
    stages = recompute(cut_of(graph))
    names = [stage.name for stage in stages.stages]
    assert names == ["0", *(f"1.{n}" for n in range(5)), "2", "loss"]
    assert len({stage.program.key for stage in stages.stages[1:6]}) == 1
