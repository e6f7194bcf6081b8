"""`weft export`: a plan's forward as StableHLO."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import PlanDirectory


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(export)


def export(
    plan: PlanDirectory,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Write the files here.")
    ] = Path("export"),
    stage: Annotated[
        str | None, typer.Option(help="The name of one stage; default: the whole forward.")
    ] = None,
) -> None:
    """Write the forward of a plan, or of one stage, as StableHLO with a list of its arguments."""
    from ...backend.packages import package
    from ...compiler.plan.store import load

    package("jax", "weft export", "weft[jax]")
    from ...runtime.jax.stablehlo import export_forward, export_stage, save
    from ...runtime.training.predict import warn_of_mode

    found = load(plan)
    stages = found.stages
    if stage is None:
        warn_of_mode(found.document)
    made = export_forward(stages) if stage is None else export_stage(stages, stage)
    for path in save(made, output, "forward" if stage is None else stage):
        typer.echo(path)
