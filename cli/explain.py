"""`weft explain`: what stands behind a plan's figures, and what would change them."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Json, PlanDirectory
from .terminal.console import print_json


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(explain)


def explain(
    plan: PlanDirectory,
    evidence: Annotated[
        bool,
        typer.Option("--evidence", help="List what each figure is made of and the measured rows."),
    ] = True,
    json: Json = False,
) -> None:
    """Say what stands behind a plan's figures."""
    from ..compiler.plan.files import load_document
    from ..compiler.plan.text.evidence import evidence as text_of
    from ..compiler.plan.text.evidence import evidence_data

    document = load_document(plan)
    if json:
        print_json(evidence_data(document))
    else:
        typer.echo(text_of(document))
