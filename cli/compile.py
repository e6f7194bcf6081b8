"""`weft compile`: a model or a recipe becomes a plan directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .names import check_model, check_output, check_target, check_weights
from .options import Json, ModelArgument, OverridesOption, Weights, recipe_of, with_target
from .terminal.console import Steps, print_json, print_table
from .terminal.pass_list import check_passes, list_passes
from .terminal.passes import Watch, show_passes

if TYPE_CHECKING:
    from ..compiler.recipes.recipe import Recipe


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(name="compile")(compile_verb)


def compile_verb(
    model: ModelArgument,
    target: Annotated[str | None, typer.Option(help="Name or YAML file of a target.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Plan directory to write.")
    ] = None,
    check_only: Annotated[
        bool,
        typer.Option("--check-only", help="Write no plan; list operators without a kernel."),
    ] = False,
    print_after: Annotated[
        list[str],
        typer.Option(metavar="PASS", help="Print what this pass made; repeatable."),
    ] = [],  # noqa: B006
    passes: Annotated[
        bool, typer.Option("--passes", help="Print time and memory of every pass.")
    ] = False,
    list_all: Annotated[
        bool,
        typer.Option(
            "--list-passes", callback=list_passes, is_eager=True, help="List all passes and leave."
        ),
    ] = False,
    fit: Annotated[
        str | None,
        typer.Option(metavar="auto", help="Recompute, coarsen, add wafers until the model fits."),
    ] = None,
    mappings: Annotated[
        str | None,
        typer.Option(
            metavar="all|apart|2021",
            help="apart: PEs of its own for a stage's forward, too; 2021: products in sequence.",
        ),
    ] = None,
    witness: Annotated[
        str,
        typer.Option(metavar="on|off", help="Run the model once and hold its stages against it."),
    ] = "on",
    place_seconds: Annotated[
        float,
        typer.Option(min=0, help="Search this long for a faster placement with shorter wires."),
    ] = 0.0,
    weights: Weights = None,
    no_weights: Annotated[
        bool,
        typer.Option("--no-weights", help="Write a plan without weights: it is not for training."),
    ] = False,
    set_: OverridesOption = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Compile a model to a plan directory and print its summary."""
    check_model(model)
    check_target(target)
    check_weights(weights)
    check_passes(print_after)
    _check_together(weights, no_weights)
    check_output(None if check_only else output)
    chosen = [*set_, f"pipeline.fit={fit}"] if fit else set_
    chosen = [*chosen, f"pipeline.mappings='{mappings}'"] if mappings else chosen
    recipe = recipe_of(model, with_target(chosen, target))
    is_witnessed = _is_on(witness)
    from ..backend.light_numba import import_numba

    import_numba()
    from ..compiler.plan.codec import to_data
    from ..compiler.plan.evidence import figures_of
    from ..compiler.recipes.build import compile_recipe
    from ..runtime.weights.load import load_weights

    if check_only:
        _check(recipe, json)
        return
    directory = output or Path(f"{_short(recipe.model.name)}-{_short(recipe.target.name)}.plan")
    watch = Watch(print_after)
    check_output(directory)
    with Steps() as step:
        plan = compile_recipe(
            recipe,
            on_begin=step,
            on_end=watch,
            witness=is_witnessed,
            place_seconds=place_seconds,
        )
        if weights is not None:
            step("weights")
            plan = load_weights(plan, weights)
        plan = replace(plan, tensors={}) if no_weights else plan
        step("write")
        plan.save(directory)
    if json:
        totals = to_data(plan.document.totals)
        bars = figures_of(plan.document).bars()
        made = {"plan": str(directory), "totals": totals, "error_bars": bars, "passes": watch.rows}
        print_json({**made, "printed": watch.texts} if print_after else made)
        return
    show_passes(watch)
    if passes:
        print_table(*watch.table())
        typer.echo()
    typer.echo(plan.summary())
    typer.echo(f"\nwritten to {directory}; next: weft show {directory}, weft simulate {directory}")


def _check_together(weights: Path | None, no_weights: bool) -> None:
    from ..backend.errors import UserError

    if weights is not None and no_weights:
        raise UserError(
            "--no-weights",
            expected="a plan with weights, or one without",
            got=f"--weights {weights} as well",
            change="leave one of them out",
        )


def _is_on(witness: str) -> bool:
    from ..backend.errors import UnknownNameError

    if witness not in ("on", "off"):
        raise UnknownNameError("witness", witness, ("on", "off"), "weft compile --help")
    return witness == "on"


def _check(recipe: Recipe, json: bool) -> None:
    """Report which operators have a kernel; exit code 1 if one has none."""
    from ..compiler.plan.codec import to_data
    from ..compiler.recipes.build import recipe_coverage

    found = recipe_coverage(recipe)
    if json:
        print_json({"share": found.share, **to_data(found)})
    else:
        typer.echo(found.text())
    if found.uncovered:
        raise typer.Exit(1)


def _short(name: str) -> str:
    """A name that is fit for a file: 'my_models.py:cnn' -> 'cnn'."""
    return Path(name.rpartition(":")[2]).stem
