"""`weft bench sim`: how fast the simulator is."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_records

HEADER = ("case", "what", "median", "unit", "rounds", "note")
NetworksOption = Annotated[
    list[str], typer.Option("--network", "-n", help="resnet18, resnet50, gpt2-12, gpt3-xl.")
]


def sim(
    network: NetworksOption = ["resnet18", "resnet50", "gpt2-12", "gpt3-xl"],  # noqa: B006 - typer copies it
    rounds: Annotated[int, typer.Option(min=1, help="Repetitions of each.")] = 5,
    json: Json = False,
) -> None:
    """Time compiling and simulating networks at both levels, and the PE-level fabric: medians."""
    from ...bench.machine import machine_line
    from ...bench.simulation import measure

    rows = []
    for row in measure(network, rounds):
        rows.append((row.name, row.what, float(f"{row.value:.3g}"), row.unit, row.rounds, row.note))
        typer.echo(f"  {row.name}: {row.what}", err=True)
    print_records(HEADER, rows, json)
    if not json:
        typer.echo(machine_line())
