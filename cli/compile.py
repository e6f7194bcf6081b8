"""`weft compile`: a model or a recipe becomes a plan directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import Steps, print_json
from .options import Json, Overrides, recipe_of, with_target

if TYPE_CHECKING:
    from ..compiler.recipe import Recipe


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="compile")(compile_verb)


def compile_verb(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="recipe.yaml | package.module:factory | a name from `weft models`",
        ),
    ],
    target: Annotated[str | None, typer.Option(help="Name or YAML file of a target.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Plan directory to write.")
    ] = None,
    check_only: Annotated[
        bool,
        typer.Option("--check-only", help="Write no plan; list operators without a kernel."),
    ] = False,
    set_: Overrides = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Compile a model to a plan directory and print its summary."""
    from ..compiler.from_recipe import compile_recipe
    from ..compiler.plan.data import to_data

    recipe = recipe_of(model, with_target(set_, target))
    if check_only:
        _check(recipe, json)
        return
    directory = output or Path(f"{_short(recipe.model.name)}-{_short(recipe.target.name)}.plan")
    with Steps() as step:
        plan = compile_recipe(recipe, on_step=step)
        step("write")
        plan.save(directory)
    if json:
        print_json({"plan": str(directory), "totals": to_data(plan.document.totals)})
        return
    typer.echo(plan.summary())
    typer.echo(f"\nwritten to {directory}; next: weft show {directory}, weft simulate {directory}")


def _check(recipe: Recipe, json: bool) -> None:
    """Report which operators have a kernel; exit code 1 if one has none."""
    from ..compiler.from_recipe import recipe_coverage
    from ..compiler.plan.data import to_data

    found = recipe_coverage(recipe)
    if json:
        print_json({"share": found.share, **to_data(found)})
    else:
        typer.echo(found.text())
    if found.uncovered:
        raise typer.Exit(1)


def _short(name: str) -> str:
    """A name that is fit for a file: 'package.module:factory' -> 'factory'."""
    return Path(name.rpartition(":")[2]).stem
