"""`weft bench pacing`: self-paced data beside a random order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...options import Json, OverridesOption
from .rows import RecordsOption, WriteOption, collected, print_rows

if TYPE_CHECKING:
    from ....bench.studies.paced import PacedRow


def pacing(
    data: Annotated[
        str, typer.Option(help="digits, or a .npz file of 28x28 bytes such as MNIST's.")
    ] = "digits",
    epochs: Annotated[int, typer.Option(min=1, help="As many updates as so many epochs.")] = 3,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each method.")] = 3,
    samples: Annotated[int, typer.Option(min=1, help="Training samples at most.")] = 12_000,
    records: RecordsOption = Path("weft-bench-pacing.jsonl"),
    write: WriteOption = None,
    set_: OverridesOption = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Train a perceptron on self-paced data and in random order at equal updates; compare.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....bench.studies.paced import PacedStudy, paced_page, paced_table

    study = PacedStudy(data, epochs, seeds, samples, overrides=tuple(set_))
    rows = collected(
        study.rows(records), _said, write, lambda rows: paced_page(rows, len(study.keys))
    )
    print_rows(rows, f"{study.setup}\n{rows[0].machine}", paced_table, json)


def _said(row: PacedRow) -> str:
    scores = f"accuracy {row.accuracy:.2%}  loss {row.loss:.4f}  {row.seconds:.0f} s"
    return f"{row.method:<30} seed {row.seed}  {scores}"
