"""`weft bench coverage`: which architectures compile."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_json

Names = Annotated[
    list[str], typer.Argument(metavar="[NAME]...", help="Names or patterns such as 'timm/res*'.")
]


def coverage(
    names: Names = [],  # noqa: B006 - typer copies it
    target: Annotated[
        str, typer.Option(help="Name or YAML file; 'large': a wse3 no model here is too large for.")
    ] = "large",
    limit: Annotated[int, typer.Option(min=1, help="Seconds of processor time per model.")] = 120,
    list_: Annotated[bool, typer.Option("--list", help="Print the names; compile none.")] = False,
    json: Json = False,
) -> None:
    """Compile timm and transformers models on the meta device and check their plans.

    Exit code 1 if fewer than 95 % give a sound plan, or one fails by a mistake of weft.
    """
    from ...bench.coverage import HEADER, passed, select
    from ...bench.coverage import coverage as rows_of
    from ...bench.target import target_of

    chosen = select(names)
    if list_:
        typer.echo("\n".join(chosen))
        return
    rows = []
    typer.echo(HEADER, err=json)
    for row in rows_of(chosen, target_of(target), limit):
        typer.echo(row.text(), err=json)
        rows.append(row)
    sound = sum(not row.reason for row in rows)
    if json:
        print_json([asdict(row) for row in rows])
    else:
        typer.echo(f"\n{sound} of {len(rows)} sound ({sound / len(rows):.1%})")
    if not passed(rows):
        raise typer.Exit(1)
