"""`weft bench growth`: growth of weights where a plan has room, beside free growth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...options import Json, OverridesOption
from .rows import RecordsOption, WriteOption, collected, print_rows

if TYPE_CHECKING:
    from ....bench.studies.growth import GrowthRow


def growth(
    algorithm: Annotated[list[str], typer.Option(help="rigl, set.")] = ["rigl", "set"],  # noqa: B006
    level: Annotated[list[float], typer.Option(help="Shares of weights that are zero.")] = [  # noqa: B006
        0.75,
        0.9,
    ],
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each setting.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs over the digits.")] = 4,
    records: RecordsOption = Path("weft-bench-growth.jsonl"),
    write: WriteOption = None,
    set_: OverridesOption = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Train on digits with RigL and SET that grow freely, in room, or at the plan's pace; compare.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....bench.studies.growth import GrowthStudy, growth_page, growth_table

    study = GrowthStudy(epochs, level, seeds, algorithm, set_)
    planned = len(study.keys)
    rows = collected(study.rows(records), _said, write, lambda rows: growth_page(rows, planned))
    print_rows(rows, f"{study.setup}\n{rows[0].machine}", growth_table, json)


def _said(row: GrowthRow) -> str:
    return (
        f"{row.algorithm:<5} {row.level:g} {row.growth:<5} seed {row.seed}"
        f"  accuracy {row.accuracy:.2%}  refused {row.refused:,}  fullest {row.fullest:.2f}"
        f"  {row.planned:,} > {row.as_planned:,} cycles"
    )
