"""Stages with a tied weight."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from weft.compiler.capture.capture import capture
from weft.compiler.plan.program import Stages
from weft.compiler.stages.cut import cut


class Tied(nn.Module):
    """An embedding whose table is also the last layer, and one layer used twice with a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 6)
        self.layer = nn.Linear(6, 6)
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.table.weight
        self.register_buffer("frequencies", torch.arange(6.0) / 6)

    def forward(self, tokens):
        hidden = self.table(tokens)
        for _ in range(2):
            hidden = torch.tanh(self.layer(hidden)) * torch.cos(self.frequencies)
        return self.head(hidden).transpose(1, 2)


TOKENS, TARGET = torch.tensor([[0, 3, 6, 3]]), torch.tensor([[1, 2, 3, 4]])


def tied_model() -> Tied:
    torch.manual_seed(0)
    return Tied().double()


def tied_stages(model: nn.Module) -> Stages:
    return cut(capture(model, (TOKENS, TARGET), F.cross_entropy))
