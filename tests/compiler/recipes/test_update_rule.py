"""Which delay compensation fits which optimizer is said when a recipe is read."""

from __future__ import annotations

from typing import Any

import pytest
from weft.backend.errors import UserError
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.compiler.recipes.update_rule import settings, update_rule

MINIMAL: dict[str, Any] = {"model": "mlp", "input": {"shape": [1, 8, 8], "classes": 10}}


def test_the_default_follows_the_optimizer() -> None:
    for name, expected in (("sgdm", "ab"), ("adamw", "none")):
        recipe = make_recipe(MINIMAL, [f"optimizer.name={name}"])
        assert update_rule(recipe, "pipelined").settings["compensation"] == expected


@pytest.mark.parametrize(
    ("overrides", "fitting"),
    [
        (["optimizer.name=adamw", "pipeline.compensation=sc+lwp"], "one of none, stash, lwp"),
        (["optimizer.nesterov=true", "pipeline.compensation=sc"], "one of none, stash, lwp"),
        (["pipeline.compensation=magic"], "one of"),
        (
            ["pipeline.compensation=sc", "phases=[{epochs: 1, optimizer: {name: adamw}}]"],
            "one of none, stash, lwp",
        ),
        (["phases=[{epochs: 1, optimizer: {lr: 0}}]"], "greater than 0"),
    ],
    ids=str,
)
def test_what_is_not_defined_is_refused_when_the_recipe_is_read(
    overrides: list[str], fitting: str
) -> None:
    with pytest.raises(UserError, match=fitting):
        make_recipe(MINIMAL, overrides)


@pytest.mark.parametrize(
    ("overrides", "states"),
    [
        ([], 1),
        (["optimizer.name=adamw"], 2),
        (["pipeline.compensation=lwp_w"], 1),  # the latest step is the velocity times a rate
        (["pipeline.compensation=sc+lwp_w"], 2),  # the velocity and the latest step
    ],
    ids=str,
)
def test_the_plan_holds_every_tensor_of_optimizer_state(overrides: list[str], states: int) -> None:
    plan = compile_recipe(make_recipe(MINIMAL, [*overrides, "target=tiny_mesh"]))
    assert plan.document.optimizer_states == states


def test_a_cosine_that_is_warmed_up_never_has_the_whole_rate() -> None:
    chosen = ["optimizer.lr=0.1", "optimizer.schedule={kind: cosine, warmup: 0.5, final: 0.2}"]
    recipe = make_recipe(MINIMAL, chosen)
    told = settings(recipe, update_rule(recipe, "sequential"))["learning_rate"]
    assert told == pytest.approx(0.1 * (1 + 0.2) / 2)
