"""A small network whose saved activations are large enough to be packed in 8 bits."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import nn
from weft.compiler.capture.capture import capture
from weft.compiler.plan.program import Stages
from weft.compiler.stages.cut import cut
from weft.compiler.stages.kept.pack_saved import Packing, pack_saved
from weft.runtime.tick.job import Job

from .reversible_chains import job_of


@cache
def two_layers(dtype: torch.dtype) -> tuple[nn.Module, Stages]:
    """The network and its stages that keep what they save as it is."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 3, padding=1)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 3)).to(dtype)
    sample = torch.zeros(1, 1, 8, 8, dtype=dtype), torch.zeros(1, dtype=torch.long)
    return model, cut(capture(model, sample, F.cross_entropy))


def packed_job(packing: Packing, dtype: torch.dtype = torch.float64) -> Job:
    """Training it with packed activations."""
    model, exact = two_layers(dtype)
    return job_of(model, pack_saved(exact, packing), {}, "none")
