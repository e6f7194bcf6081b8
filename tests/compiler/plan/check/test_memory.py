"""Rules about bytes per PE: sums, capacity, and what each class must at least hold."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
import torch.nn.functional as F
import weft
from helpers.reversible_chains import network
from weft.compiler.pipeline import Options
from weft.compiler.plan.check import check
from weft.compiler.plan.plan import Plan


@cache
def reversible_plan() -> Plan:
    sample = torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.long)
    options = Options(reversible=True, anchor_every=2)
    model = network("residual", torch.float32)
    return weft.compile(model, sample, F.cross_entropy, "wse2", options)


def test_rebuilt_bytes_are_derived_again() -> None:
    plan = reversible_plan()
    edges = plan.document.edges
    number = next(n for n, edge in enumerate(edges) if edge.rebuilt_bytes)
    less = replace(edges[number], rebuilt_bytes=0)
    broken = replace(plan.document, edges=(*edges[:number], less, *edges[number + 1 :]))
    assert "edge-bytes" in {v.rule for v in check(broken, None, plan.programs)}
