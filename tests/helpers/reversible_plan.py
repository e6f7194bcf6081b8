"""A plan with stages that rebuild what they read."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
import weft
from helpers.reversible_chains import network
from weft.compiler.pipeline import Options
from weft.compiler.plan.plan import Plan


@cache
def reversible_plan() -> Plan:
    sample = torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.long)
    options = Options(reversible=True, anchor_every=2)
    model = network("residual", torch.float32)
    return weft.compile(model, sample, F.cross_entropy, "wse2", options)
