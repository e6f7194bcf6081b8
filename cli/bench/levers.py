"""`weft bench levers`: what levers on saved activations buy."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import Json
from ..terminal.console import print_json, print_table

if TYPE_CHECKING:
    from ...bench.studies.levers.plans import LeverRow


def levers(
    network: Annotated[
        list[str], typer.Option(help="RevNet-110, ResNet-50, 'GPT, 12 blocks', RevBiFPN-S0 or -S2.")
    ] = ["RevNet-110"],  # noqa: B006
    target: Annotated[str, typer.Option(help="A machine, as of `weft targets`.")] = "wse2",
    json: Json = False,
) -> None:
    """Compile networks with each lever: FIFOs, bytes of the fullest PE, interval."""
    from ...backend.errors import UnknownNameError
    from ...bench.studies.levers.plans import NETWORKS
    from ...bench.studies.levers.plans import levers as rows_of

    for name in network:
        if name not in NETWORKS:
            raise UnknownNameError("network", name, [*NETWORKS], "weft bench levers --help")
    rows = [row for name in network for row in rows_of(name, target)]
    if json:
        print_json([asdict(row) for row in rows])
        return
    print_table(_HEADERS, [_line(row) for row in rows])


_HEADERS = (
    *("network", "lever", "stages", "FIFOs [MB]", "fullest PE [bytes]", "interval [cycles]"),
    *("samples/s", "back [MB/sample]"),
)


def _line(row: LeverRow) -> tuple[str, ...]:
    if row.stages is None:
        return (row.network, row.lever, "-", "-", f"does not fit: {row.reason}", "-", "-", "-")
    return (
        *(row.network, row.lever, f"{row.stages}", f"{(row.fifo_bytes or 0) / 1e6:,.1f}"),
        *(f"{row.fullest_pe_bytes:,}", f"{row.interval_cycles:,.0f}"),
        *(f"{row.samples_per_s:,.0f}", f"{(row.backward_bytes or 0) / 1e6:,.2f}"),
    )
