"""The update phase of rules that multiply matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from weft.backend.optim.matrices import orthogonalized
from weft.compiler.kernels.optimizer import matrix_products
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.plan.check import check
from weft.compiler.plan.plan import Plan
from weft.compiler.plan.training import Training
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.compiler.targets.load import load_target

RECIPE: dict[str, Any] = {
    "model": {"name": "mlp", "options": {"width": 16}},
    "input": {"shape": [1, 8, 8], "classes": 3},
    "target": "tiny_mesh",
    "pipeline": {"compensation": "none"},
}


class Counting(np.ndarray):
    """An array that counts the multiply-accumulates of its products."""

    macs = 0

    def __matmul__(self, other: Any) -> Any:
        Counting.macs += self.shape[0] * self.shape[1] * other.shape[1]
        return (np.asarray(self) @ np.asarray(other)).view(Counting)


@pytest.mark.parametrize("shape", [(3, 7), (7, 3), (5, 5), (4, 2, 3, 3)])
def test_the_products_of_muon_are_those_that_it_does(shape: tuple[int, ...]) -> None:
    Counting.macs = 0
    orthogonalized(np.ones((shape[0], int(np.prod(shape[1:])))).view(Counting), np)
    priced = sum(m * k * n * times for m, k, n, times in matrix_products("muon", shape))
    assert priced == Counting.macs > 0


def test_what_is_no_matrix_has_no_products() -> None:
    assert not matrix_products("muon", (9,)) + matrix_products("rotated_adamw", (9, 1))


def plan_with(name: str) -> Plan:
    return compile_recipe(make_recipe(RECIPE, [f"optimizer.name={name}"]))


@pytest.mark.parametrize(("name", "states"), [("muon", 1), ("normuon", 1), ("rotated_adamw", 6)])
def test_a_plan_says_what_it_was_priced_for_and_is_sound(name: str, states: int) -> None:
    plan = plan_with(name)
    assert plan.document.optimizer_states == states
    assert not check(plan.document)
    assert (plan.training.matrix_rule, plan.training.by_element) == (name, None)


def updates(plan: Plan, **training: Any) -> dict[str, np.ndarray]:
    """Update cycles of each stage that is trained, for every tiling."""
    pricing = Pricing(plan.stages, load_target("tiny_mesh"), Training(**training))
    stages = [stage for stage in plan.stages.stages if stage.parameters]
    return {stage.name: pricing.table(stage).phase_cycles["update"] for stage in stages}


def test_every_matrix_but_the_head_costs_products() -> None:
    """Stages that share a program are priced apart where one is stepped by element."""
    plan = plan_with("sgdm")
    plain, muon = updates(plan), updates(plan, matrix_rule="muon")
    *others, head = plain
    assert all((muon[name] > plain[name]).all() for name in others)
    np.testing.assert_array_equal(muon[head], plain[head])
    chosen = plan.stages.stages[2]
    globs = tuple(chosen.parameters)
    part = updates(plan, matrix_rule="muon", by_element=globs)
    np.testing.assert_array_equal(part[chosen.name], plain[chosen.name])
    assert (part[head] > plain[head]).all()
    assert (part[others[1]] > plain[others[1]]).all()
