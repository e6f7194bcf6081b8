"""`weft targets`: the machines weft knows, their constants, and their peak arithmetic."""

from __future__ import annotations

from typing import Annotated

import typer

from .console import print_records
from .failure import CHECK_FAILED
from .options import Json

app = typer.Typer(help="List targets; show one; check the peak arithmetic.", no_args_is_help=False)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name or YAML file of a target.")]
MaybeName = Annotated[str | None, typer.Argument(metavar="NAME", help="Default: all of them.")]


@app.callback(invoke_without_command=True)
def listing(ctx: typer.Context, json: Json = False) -> None:
    """List the targets that come with weft."""
    if ctx.invoked_subcommand is not None:
        return
    from ..compiler.targets.load import known_targets, load_target

    targets = [load_target(name) for name in known_targets()]
    names = ("name", "PEs", "bytes_per_PE", "clock_MHz", "description")
    rows = [
        (t.name, t.pes, t.sram.bytes_per_pe, round(t.clock_hz / 1e6), t.description)
        for t in targets
    ]
    print_records(names, rows, json)


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Print every constant of a target with its source and confidence."""
    from ..compiler.targets.load import load_target

    rows = [(c.name, c.value, c.confidence, c.source) for c in load_target(name).constants()]
    if not json:
        rows = [(name, _number(value), firm, source) for name, value, firm, source in rows]
    print_records(("constant", "value", "confidence", "source"), rows, json)


@app.command()
def check(name: MaybeName = None, json: Json = False) -> None:
    """Redo the peak arithmetic against the advertised figures. Exit code 1 if one is off."""
    from ..compiler.targets.arithmetic import check_target
    from ..compiler.targets.load import known_targets, load_target

    names = [name] if name else list(known_targets())
    rows = [row for each in names for row in check_target(load_target(each))]
    if not rows:
        typer.echo("nothing is advertised for this target", err=True)
    columns = ("target", "quantity", "computed", "advertised", "ratio", "passed", "formula")
    print_records(
        columns,
        [
            (
                *(row.target, row.quantity, row.computed, row.advertised),
                *(round(row.ratio, 3), row.passed, row.formula),
            )
            for row in rows
        ]
        if json
        else [
            (
                *(row.target, f"{row.quantity} [{row.unit}]", f"{row.computed:.4g}"),
                *(f"{row.advertised:.4g}", f"{row.ratio:.3f}"),
                *("yes" if row.passed else "NO", row.formula),
            )
            for row in rows
        ],
        json,
    )
    if not all(row.passed for row in rows):
        raise typer.Exit(CHECK_FAILED)


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
