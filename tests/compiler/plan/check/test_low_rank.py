"""Low-rank factors within their weight's product: named where the program has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import weft
from torch import nn
from weft.backend.nn.lora import LoRA, adapt
from weft.compiler.plan.check import check
from weft.compiler.plan.plan import Plan
from weft.compiler.plan.stage_record import ProductStep
from weft.compiler.recipes.network import class_loss
from weft.compiler.targets.load import load_target

WIDTH, TOKENS, RANK = 96, 24, 4


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Two adapted layers on tokens."""
    torch.manual_seed(0)
    layers = nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH)
    model = adapt(nn.Sequential(*layers), LoRA(("*",), rank=RANK))
    sample = torch.zeros(1, TOKENS, WIDTH), torch.zeros(1, TOKENS, dtype=torch.long)
    return weft.compile(model, sample, class_loss, "wse3")


def joint(plan: Plan) -> list[tuple[int, int, ProductStep]]:
    """Stage, operator and step of every product with factors in it."""
    return [
        (i, j, step)
        for i, stage in enumerate(plan.document.stages)
        for j, operator in enumerate(stage.operators)
        for step in operator.steps
        if isinstance(step, ProductStep) and step.rank
    ]


def test_forward_and_input_gradient_have_the_factors_within(plan: Plan) -> None:
    """The first layer's input needs no gradient: there each product is alone."""
    assert check(plan.document, load_target("wse3"), plan.programs) == ()
    assert [step.kind for _, _, step in joint(plan)] == ["forward", "forward", "input gradient"]
    assert {step.rank for _, _, step in joint(plan)} == {RANK}
    sent = [
        step.sent
        for stage in plan.document.stages
        for operator in stage.operators
        for step in operator.steps
        if isinstance(step, ProductStep) and step.sent != "both"
    ]
    assert sent == ["none", "none"]


def test_a_stored_plan_is_as_sound(plan: Plan, tmp_path: Path) -> None:
    """Its graphs have other names of operators."""
    plan.save(tmp_path / "plan")
    stored = weft.load(tmp_path / "plan")
    assert joint(stored) == joint(plan)
    assert check(stored.document, load_target("wse3"), stored.programs) == ()


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("low-rank-factors", {"rank": 2 * RANK}),
        ("operator-steps", {"nonzeros": 10**6}),
        ("operator-steps", {"sent": "none"}),
    ],
)
def test_what_the_program_has_not_is_named(plan: Plan, rule: str, changes: dict[str, int]) -> None:
    i, j, step = joint(plan)[0]
    stage = plan.document.stages[i]
    operator = replace(stage.operators[j], steps=(replace(step, **changes),))
    operators = (*stage.operators[:j], operator, *stage.operators[j + 1 :])
    stages = list(plan.document.stages)
    stages[i] = replace(stage, operators=operators)
    broken = replace(plan.document, stages=tuple(stages))
    found = check(broken, load_target("wse3"), plan.programs)
    assert rule in {violation.rule for violation in found}


def test_a_product_with_factors_that_the_program_has_not_is_named(plan: Plan) -> None:
    i, j, _ = joint(plan)[0]
    stage = plan.document.stages[i]
    operators = (*stage.operators, *[stage.operators[j]] * 4)
    stages = list(plan.document.stages)
    stages[i] = replace(stage, operators=operators)
    broken = replace(plan.document, stages=tuple(stages))
    found = check(broken, load_target("wse3"), plan.programs)
    assert {violation.rule for violation in found} >= {"macs-of-stage"}
