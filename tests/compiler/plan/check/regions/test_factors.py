"""Gradients of adapters beside frozen weights: bytes that no layout gives are named."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import weft
from torch import nn
from weft.backend.nn.lora import LoRA, adapt
from weft.compiler.plan.check import check
from weft.compiler.plan.check.regions.factors import trained_bytes
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.network import class_loss
from weft.compiler.targets.load import load_target

WIDTH, TOKENS, RANK = 96, 24, 4


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Three adapted layers in one stage."""
    torch.manual_seed(0)
    layers = [nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3)]
    model = adapt(nn.Sequential(nn.Sequential(*layers)), LoRA(("*",), rank=RANK))
    sample = torch.zeros(1, TOKENS, WIDTH), torch.zeros(1, TOKENS, dtype=torch.long)
    return weft.compile(model, sample, class_loss, "wse3", weft.Options(stages=("0",)))


def test_they_are_derived_again(plan: Plan) -> None:
    stage = plan.document.stages[0]
    assert trained_bytes(plan.programs[stage.program], stage.tiling) is not None
    assert check(plan.document, load_target("wse3"), plan.programs) == ()


@pytest.mark.parametrize("factor", [0, 3])
def test_other_bytes_are_named(plan: Plan, factor: int) -> None:
    first, *rest = plan.document.stages
    memory = first.memory_per_pe
    changed = replace(
        memory,
        gradient_bytes=factor * memory.gradient_bytes,
        optimizer_bytes=factor * memory.optimizer_bytes,
    )
    broken = replace(plan.document, stages=(replace(first, memory_per_pe=changed), *rest))
    found = check(broken, load_target("wse3"), plan.programs)
    places = {violation.where for violation in found if violation.rule == "parameter-bytes"}
    assert f"{first.id}.memory_per_pe.gradient_bytes" in places
