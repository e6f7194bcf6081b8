"""`weft bench place`: scores on instances of the wafer placement contest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_records

HEADER = (
    "case", "kernels", "C_time", "C_dist", "C_adapter", "C_total", "time + distance", "published",
    "change %", "bound", "s", "processor s",
)  # fmt: skip


def place(
    folder: Annotated[Path, typer.Argument(help="Folder of .kgraph files, and scores.csv.")],
    case: Annotated[list[str], typer.Option("--case", "-c", help="Only this; repeatable.")] = [],  # noqa: B006
    seconds: Annotated[
        float | None, typer.Option(min=0, help="For each case.  \\[default: 60]")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds instead of seconds.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Json = False,
) -> None:
    """Place contest instances and compare weighted time and distance with the published ones."""
    from ...bench.machine import machine_line
    from ...bench.place import measure
    from ...study.contest_score import ADAPTER_READING

    limit = 60.0 if seconds is None and rounds is None else seconds
    rows = []
    for one in measure(folder, case, limit, rounds, seed):
        change = None if one.change is None else round(100 * one.change, 2)
        rows.append(
            (one.name, one.kernels, one.time, one.distance, one.adapters, one.total,
             one.time_and_distance, one.published, change, one.least_total,
             round(one.seconds, 1), round(one.processor_seconds, 1))
        )  # fmt: skip
        typer.echo(f"  {one.name}: {one.total:,.10g}", err=True)
    print_records(HEADER, rows, json)
    if not json:
        typer.echo(f"{machine_line()}\nadapters: {ADAPTER_READING}")
