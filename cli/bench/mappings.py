"""`weft bench mappings`: the fabric against the price, for every kind of mapping."""

from __future__ import annotations

import typer

from ..options import Json
from ..terminal.console import print_records

HEADER = (
    *("mapping", "in x space x out", "phase", "priced_cycles", "stepped_cycles"),
    *("difference_percent", "as_priced"),
)
BAR = 0.05
"""No phase of a kind may be further from its price."""


def mappings(json: Json = False) -> None:
    """Step a small stage of every kind of mapping PE by PE, beside its price. Exit code 1 if one is
    more than 5 % off."""
    from ...bench.mappings import measure

    found = list(measure())
    rows = [
        (
            *(row.kind, row.tiling, row.phase, row.priced_cycles, row.stepped_cycles),
            *(round(100 * row.difference, 2), ", ".join(row.as_priced)),
        )
        for row in found
    ]
    print_records(HEADER, rows, json)
    if any(abs(row.difference) > BAR for row in found):
        raise typer.Exit(1)
