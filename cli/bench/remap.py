"""`weft bench remap`: intervals of a plan whose masks change."""

from __future__ import annotations

from dataclasses import asdict, astuple
from typing import Annotated

import typer

from ..options import Json, OverridesOption
from ..terminal.console import print_json, print_table


def remap(
    algorithm: Annotated[str, typer.Option(help="rigl or set.")] = "rigl",
    level: Annotated[float, typer.Option(help="Share of weights that are zero.")] = 0.9,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs over the digits.")] = 4,
    set_: OverridesOption = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Train ResNet-20 on digits with masks that change; the plan's interval under each epoch's."""
    from ...bench.studies.remap import drifts
    from ...bench.studies.sparsity import sparse_recipe

    rows = list(drifts(sparse_recipe(algorithm, level, epochs, set_)))
    if json:
        print_json([asdict(row) for row in rows])
        return
    print_table(_HEADERS, [[*map(str, astuple(row)[:-1]), f"{row.growth:.2f}"] for row in rows])


_HEADERS = (
    *("samples", "as planned", "first balance kept", "rebalanced", "new map", "final map"),
    "fullest PE",
)
