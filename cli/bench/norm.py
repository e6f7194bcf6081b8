"""`weft bench norm`: what Online Normalization costs beside GroupNorm."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_records

SHAPES = ((1, 64, 32, 32), (1, 16, 32, 32), (1, 256, 8, 8), (32, 64, 32, 32))
"""Samples, channels and pixels; the first is the usual case."""

HEADER = ("input", "group_norm_us", "online_norm_us", "ratio")


def norm(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that alternate between both.")] = 100,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 1,
    json: Json = False,
) -> None:
    """Time a forward and backward of OnlineNorm beside eager GroupNorm: medians and their ratio."""
    from ...bench.machine import machine_line
    from ...bench.norm import norm_times

    times = [norm_times(shape, rounds, threads) for shape in SHAPES]
    rows = [
        (
            "x".join(map(str, row.shape)),
            round(row.group_norm_us, 1),
            round(row.online_norm_us, 1),
            round(row.ratio, 2),
        )
        for row in times
    ]
    if not json:
        typer.echo(f"{machine_line()}; {threads} threads, float32, forward + backward\n")
    print_records(HEADER, rows, json)
