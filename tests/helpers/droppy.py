"""A network with dropouts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from weft.compiler.capture.capture import capture


class Droppy(nn.Module):
    def __init__(self, p: float = 0.4) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 4)
        self.drop = nn.Dropout(p)

    def forward(self, x):
        return self.second(self.drop(torch.tanh(self.first(x))))


def graph_of(model, *sample, loss=F.mse_loss):
    return capture(model, sample, loss)


def tensors_of(model, graph):
    state = {name: value.detach() for name, value in model.state_dict().items()}
    return {**state, **graph.constants}
