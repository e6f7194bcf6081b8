"""`weft compare`: one model on several machines."""

from __future__ import annotations

from typing import Annotated

import typer

from ..names import check_model
from ..options import Json, ModelArgument, OverridesOption, recipe_of
from ..terminal.console import Steps, print_json


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(compare)


def compare(
    model: ModelArgument,
    targets: Annotated[
        str, typer.Option(help="Names or YAML files, with commas between; default: all.")
    ] = "",
    dtype: Annotated[
        str | None, typer.Option(help="Convert the model first: float32, float16 or bfloat16.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Training samples to simulate.")] = 1000,
    batch: Annotated[int, typer.Option(help="Batch size on rooflines; meshes train at 1.")] = 128,
    set_: OverridesOption = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Train a model on several machines, in simulation; rooflines say what is possible at best."""
    from ...compiler.targets import known_rooflines, known_targets, load_machine

    check_model(model)
    names = targets.split(",") if targets else [*known_targets(), *known_rooflines()]
    machines = [load_machine(name.strip()) for name in names]
    from ...compiler.recipes.build import graph_compiler
    from ...study.compare import compare as run
    from ...study.comparison import Comparison

    recipe, to = recipe_of(model, set_), _dtype(dtype)
    with Steps() as step:
        step("capture")
        model_graph = graph_compiler(recipe, to)
        step("compile and simulate")
        rows = run(model_graph, machines, samples, batch)
    if json:
        print_json([row.to_dict() for row in rows])
    else:
        typer.echo(Comparison(rows).summary())


def _dtype(name: str | None):
    import torch

    from ...backend.errors import UnknownNameError

    known = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if name is None or name in known:
        return known.get(name or "")
    raise UnknownNameError("dtype", name, known, "weft compare --help")
