"""Compiled with a witness."""

from __future__ import annotations

import torch
import torch.nn.functional as F
import weft
from torch import nn
from weft.compiler.pipeline import Options
from weft.compiler.witness.witness import Verdict

SAMPLE = torch.tensor([[0.5, -1.0, 2.0, 0.1]]), torch.tensor([1])


class Counting(nn.Module):
    """A buffer that moves, dropout, state kept in attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 3)
        self.register_buffer("mean", torch.zeros(6))
        self.calls, self.kept = 0, []

    def forward(self, x):
        h = F.dropout(torch.tanh(self.first(x)), 0.5, self.training)
        self.calls += 1
        self.kept.append(h)
        y = self.second(h - self.mean)
        self.mean = 0.9 * self.mean + 0.1 * h.detach().mean(0)
        return y


def compiled(model, *, sample=SAMPLE, **options):
    """The plan, and the verdict of its witness."""
    found: list[Verdict] = []

    def note(run):
        if run.name == "witness":
            found.append(run.artefact)

    plan = weft.compile(model, sample, F.cross_entropy, "wse2", Options(on_end=note, **options))
    return plan, found[0] if found else None
