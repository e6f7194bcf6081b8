"""`weft bench compressed`: when a compressed kernel pays on this host."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_records

HEADER = ("product", "sparsity", "dense_us", "torch_csr_us", "numba_csr_us", "fastest", "gain")


def compressed(
    size: Annotated[int, typer.Option(min=1, help="Features in and out.")] = 2048,
    sparsity: Annotated[
        list[float], typer.Option(min=0, max=1, help="Shares of weights that are zero.")
    ] = [0.75, 0.9, 0.95, 0.99],  # noqa: B006 - typer copies it
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that alternate.")] = 100,
    json: Json = False,
) -> None:
    """Time compressed products of one linear layer beside the masked dense one, batch size 1."""
    from ...bench.compressed import compressed_times
    from ...bench.machine import machine_line

    times = [row for share in sparsity for row in compressed_times(size, share, rounds)]
    rows = [
        (
            row.product,
            row.sparsity,
            *(round(value, 1) for value in row.microseconds.values()),
            row.fastest,
            round(row.gain, 2),
        )
        for row in times
    ]
    if not json:
        typer.echo(f"{machine_line()}; {size} x {size}, float32, 1 thread\n")
    print_records(HEADER, rows, json)
