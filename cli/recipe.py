"""`weft recipe`: the keys of a recipe, a commented file to start from, and what is wrong in one."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill, indent
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .names import check_file_output, check_model, check_target
from .options import Json, ModelArgument, OverridesOption, recipe_of
from .terminal.console import print_json

if TYPE_CHECKING:
    from ..compiler.recipes.recipe import Recipe

app = typer.Typer(help="Print, write and check recipes.", no_args_is_help=True)

MaybeModel = Annotated[
    str | None, typer.Argument(metavar="[MODEL]", help="As of `weft compile`; default: no values.")
]


@app.command()
def show(model: MaybeModel = None, set_: OverridesOption = [], json: Json = False) -> None:  # noqa: B006
    """Print every key with its type, default and meaning, and the value it has in a recipe."""
    if model is not None:
        check_model(model)
    from ..compiler.recipes.keys import parts, value_at

    recipe = None if model is None else recipe_of(model, set_)
    rows = []
    for part in parts():
        for key in part.keys:
            name = f"{part.name}.{key.name}".lstrip(".")
            row = {"key": name, "type": key.kind, "default": key.default or None}
            if recipe is not None and part.name != "phases":
                row["value"] = value_at(recipe, name)
            rows.append({**row, "meaning": key.meaning})
    if json:
        print_json(rows)
        return
    for row in rows:
        _print_key(row)


def _print_key(row: dict[str, Any]) -> None:
    """Two lines or more: the key with its value, type and default; what it means."""
    from ..backend.yaml_text import as_yaml

    value = f": {as_yaml(row['value'])}" if "value" in row else ""
    default = "required" if row["default"] is None else f"default {row['default']}"
    typer.echo(f"{row['key']}{value}  ({row['type']}; {default})")
    typer.echo(indent(fill(row["meaning"], 92), "    "))


@app.command()
def init(
    model: ModelArgument,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default: print it.")
    ] = None,
    set_: OverridesOption = [],  # noqa: B006
) -> None:
    """Write a recipe in which every key stands under its meaning."""
    check_model(model)
    if output is not None:
        _check_new(output)
    from ..compiler.recipes.commented import commented

    text = commented(recipe_of(model, set_))
    if output is None:
        typer.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {output}; next: edit it, weft recipe check {output}")


@app.command()
def check(model: ModelArgument, set_: OverridesOption = [], json: Json = False) -> None:  # noqa: B006
    """Say what is wrong in a recipe before anything is compiled, and what it trains with."""
    check_model(model)
    from ..backend.optim import settings_text
    from ..compiler.plan.text.numbers import facts
    from ..compiler.recipes.network import check_recipe
    from ..compiler.recipes.update_rule import settings, update_rule

    recipe = recipe_of(model, set_)
    check_target(recipe.target.name)
    check_recipe(recipe)
    _check_data(recipe)
    used = settings(recipe, update_rule(recipe, recipe.pipeline.mode))
    if json:
        print_json(dict(used))
        return
    typer.echo(f"{model}: nothing wrong")
    pairs = [
        ("model", recipe.model.name),
        ("input", f"{list(recipe.input.shape)} {recipe.input.dtype}"),
        ("target", recipe.target.name),
        ("trains with", settings_text(used)),
        ("data", recipe.data.name or "what --data names"),
    ]
    typer.echo(facts(pairs))


def _check_new(output: Path) -> None:
    from ..backend.errors import UserError

    check_file_output(output)
    if output.exists():
        raise UserError(
            f"--output {output}",
            expected="a file that is not there yet",
            got="a file that it would replace",
            change="remove it, or give another name",
        )


def _check_data(recipe: Recipe) -> None:
    if recipe.data.name is not None:
        from ..runtime.data_names import check_present

        check_present(recipe.data.name)
