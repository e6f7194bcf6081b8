"""Options that several verbs share, and the recipe behind MODEL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .names import check_plan

if TYPE_CHECKING:
    from ..compiler.recipes.recipe import Recipe

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
OverridesOption = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe; repeatable."),
]
ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="recipe.yaml | FILE.py:NAME | package.module:NAME | a name from `weft models`"
        " | a recipe that comes with weft: demo, self_paced, ...",
    ),
]


def _of_a_plan(given: Path | list[Path]) -> Path | list[Path]:
    """The same, as all of them have a plan."""
    for directory in given if isinstance(given, list) else [given]:
        check_plan(directory)
    return given


PlanDirectory = Annotated[
    Path, typer.Argument(metavar="PLAN", help="A plan directory.", callback=_of_a_plan)
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        help="Start from these weights: a safetensors file, an index of several, a folder of"
        " either, or one of adapters.",
    ),
]
PlanDirectories = Annotated[
    list[Path],
    typer.Argument(metavar="PLAN...", help="One plan directory or several.", callback=_of_a_plan),
]


def recipe_of(model: str, overrides: list[str]) -> Recipe:
    """The recipe in a YAML file, one that comes with weft, or the default one of a named model or a
    factory.

    Raises UserError for a file that cannot be read and for a target's constant that is wrong,
    UnknownNameError for an unknown name, in the user's own files too.
    """
    from ..compiler.recipes.read import load_recipe, make_recipe, shipped_recipe
    from ..compiler.recipes.shipped import shipped_names
    from ..compiler.recipes.user_names import check_named
    from ..compiler.targets.load import load_target

    if model.endswith((".yaml", ".yml")):
        recipe = load_recipe(Path(model), overrides)
    elif model in shipped_names():
        recipe = shipped_recipe(model, overrides)
    else:
        recipe = make_recipe({"model": model}, overrides, where=f"recipe of {model}")
    load_target(recipe.target.name, recipe.target.overrides)
    check_named(recipe.model.name, "model")
    check_named(recipe.loss, "loss")
    return recipe


def with_target(overrides: list[str], target: str | None) -> list[str]:
    """`--target NAME` is short for `--set target.name=NAME`."""
    return [*overrides, f"target.name={target}"] if target else overrides
