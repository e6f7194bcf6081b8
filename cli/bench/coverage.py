"""`weft bench coverage`: which architectures compile."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_json

ModelsArgument = Annotated[
    list[str], typer.Argument(metavar="[NAME]...", help="Names or patterns such as 'timm/res*'.")
]


def coverage(
    names: ModelsArgument = [],  # noqa: B006 - typer copies it
    target: Annotated[
        str, typer.Option(help="Name or YAML file; 'large': a wse3 no model here is too large for.")
    ] = "large",
    limit: Annotated[int, typer.Option(min=1, help="Seconds of processor time per model.")] = 120,
    stages_only: Annotated[
        bool, typer.Option("--stages-only", help="Hold stages against the model; make no plan.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="JSON lines; models that they have are not run again.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Print the names; compile none.")] = False,
    json: Json = False,
) -> None:
    """Compile timm and transformers models on the meta device, hold their stages against the models
    themselves, and check their plans.

    Exit code 1 if fewer than 95 % give a sound plan, or one fails by a mistake of weft.
    """
    from ...bench.coverage import HEADER, passed, read, select
    from ...bench.coverage import coverage as rows_of
    from ...bench.target import target_of

    chosen = select(names)
    if list_:
        typer.echo("\n".join(chosen))
        return
    known = read(out) if out else {}
    rows = [known[name] for name in chosen if name in known]
    waiting = [name for name in chosen if name not in known]
    typer.echo(HEADER, err=json)
    for row in rows_of(waiting, None if stages_only else target_of(target), limit):
        typer.echo(row.text(), err=json)
        rows.append(row)
        if out:
            with out.open("a") as file:
                file.write(row.line() + "\n")
    sound = sum(not row.reason for row in rows)
    if json:
        print_json([asdict(row) for row in rows])
    else:
        said = "agree" if stages_only else "sound"
        typer.echo(f"\n{sound} of {len(rows)} {said} ({sound / len(rows):.1%})")
    if not passed(rows):
        raise typer.Exit(1)
