"""`weft bench headline`: plans against their simulation."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_records
from ..terminal.failure import CHECK_FAILED

HEADER = ("network", "cut", "type", "wafers", "plan", "analytic", "event", "latency", "off", "note")
BAR = 0.001
HeadlinesOption = Annotated[
    list[str], typer.Option("--network", "-n", help="mlp, resnet50, ...; default: all 14.")
]


def headline(network: HeadlinesOption = [], json: Json = False) -> None:  # noqa: B006 - typer copies it
    """Intervals of plans against both levels of the simulator. Exit code 1 over 0.1 %."""
    from ...bench.headline import headlines

    rows, worst = [], 0.0
    for row in headlines(tuple(network)):
        first = (row.network, row.granularity, row.dtype, row.wafers)
        if row.intervals:
            worst = max(worst, row.difference)
            off = f"{100 * row.difference:.4f} %"
            rows.append((*first, *row.intervals, row.latencies[0], off, row.note))
        else:
            rows.append((*first, *("",) * 5, row.note))
        typer.echo(f"  {' '.join(map(str, first[:3]))}", err=True)
    print_records(HEADER, rows, json)
    if worst > BAR:
        raise typer.Exit(CHECK_FAILED)
