"""`weft models`: the models that are known by name."""

from __future__ import annotations

import typer

from .options import Json
from .terminal.console import print_records


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(models)


def models(json: Json = False) -> None:
    """List the models that `weft compile` knows by name."""
    from ..backend.named_models import models as known

    rows = [
        (e.name, "x".join(map(str, e.input_shape)), e.classes, e.description)
        for e in known().values()
    ]
    print_records(("name", "input", "classes", "description"), rows, json)
