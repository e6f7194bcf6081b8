"""`weft targets`: the machines weft knows, their constants, and their peak arithmetic."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json
from .terminal.console import print_records, print_table
from .terminal.failure import CHECK_FAILED

if TYPE_CHECKING:
    from ..compiler.targets import Roofline, Target

app = typer.Typer(help="List targets; show one; check the peak arithmetic.", no_args_is_help=False)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name or YAML file of a target.")]
MaybeName = Annotated[str | None, typer.Argument(metavar="NAME", help="Default: all of them.")]


@app.callback(invoke_without_command=True)
def listing(ctx: typer.Context, json: Json = False) -> None:
    """List the targets that come with weft."""
    if ctx.invoked_subcommand is not None:
        return
    from ..compiler.targets.load import known_rooflines, known_targets, load_machine

    machines = [load_machine(name) for name in (*known_targets(), *known_rooflines())]
    names = ("name", "kind", "units", "memory_MB", "clock_MHz", "description")
    print_records(names, [_summary(machine) for machine in machines], json)


def _summary(machine: Target | Roofline) -> tuple[object, ...]:
    from ..compiler.targets import Target

    is_mesh = isinstance(machine, Target)
    units = machine.pes if is_mesh else machine.units
    memory = machine.pes * machine.sram.bytes_per_pe if is_mesh else machine.memory.bytes
    return (
        *(machine.name, "mesh" if is_mesh else "roofline", units, round(memory / 1e6)),
        *(round(machine.clock_hz / 1e6), machine.description),
    )


@app.command()
def show(
    name: Name,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print the target's file, to start your own from.")
    ] = False,
    json: Json = False,
) -> None:
    """Print every constant of a target with its range, source and confidence."""
    from ..compiler.targets.load import load_machine, target_text

    if as_yaml:
        typer.echo(target_text(name), nl=False)
        return
    machine = load_machine(name)
    columns = ("constant", "value", "range", "confidence", "source")
    rows = [
        (c.name, c.value, machine.ranges.get(c.name), c.confidence, c.source)
        for c in machine.constants()
    ]
    if json:
        print_records(columns, rows, json)
        return
    kind, units = _summary(machine)[1:3]
    typer.echo(f"{machine.name}: {machine.vendor}, {machine.year}, a {kind} of {units:,} units")
    typer.echo(f"{machine.description}\n")
    table = [(name, _number(value), _ends(ends), *others) for name, value, ends, *others in rows]
    print_table(columns, table)
    counts = Counter(constant.confidence for constant in machine.constants())
    typer.echo("\n" + ", ".join(f"{count} {firm}" for firm, count in counts.most_common()))


@app.command()
def check(name: MaybeName = None, json: Json = False) -> None:
    """Redo the peak arithmetic against the advertised figures. Exit code 1 if one is off."""
    from ..compiler.targets.arithmetic import check_target
    from ..compiler.targets.load import known_rooflines, known_targets, load_machine

    names = [name] if name else [*known_targets(), *known_rooflines()]
    rows = [row for each in names for row in check_target(load_machine(each))]
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


def _ends(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{ends[0]:g} to {ends[1]:g}"


def _number(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
