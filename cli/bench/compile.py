"""`weft bench compile`: time and memory of compiling large models."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_json

CompiledArgument = Annotated[
    list[str], typer.Argument(metavar="[NAME]...", help="Default: all; see --list.")
]


def compile_models(
    names: CompiledArgument = [],  # noqa: B006 - typer copies it
    target: Annotated[
        str, typer.Option(help="Name or YAML file; 'large': a wse3 of many times the size.")
    ] = "wse3",
    list_: Annotated[bool, typer.Option("--list", help="Print the names; compile none.")] = False,
    json: Json = False,
) -> None:
    """Compile models of published shapes without their weights, each in a process of its own."""
    from ...backend.errors import UnknownNameError
    from ...bench.compile import CASES, measure
    from ...bench.machine import machine_line
    from ...bench.target import target_of

    unknown = [name for name in names if name not in CASES]
    if unknown:
        raise UnknownNameError("model", unknown[0], CASES, "weft bench compile --list")
    chosen = names or list(CASES)
    if list_:
        typer.echo("\n".join(chosen))
        return
    found = []
    typer.echo(f"{machine_line()}; one thread, processor time\n", err=json)
    for measurement in measure(chosen, target_of(target)):
        typer.echo(measurement.text(), err=json)
        found.append(measurement)
    if json:
        print_json([asdict(measurement) for measurement in found])
