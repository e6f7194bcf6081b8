"""`weft bench perceptron`: samples and seconds until a deep perceptron is 97 % right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...options import Json
from .rows import RecordsOption, WriteOption, collected, print_rows

if TYPE_CHECKING:
    from ....bench.studies.reached import ReachedRow


def perceptron(
    data: Annotated[str, typer.Argument(help="A .npz file of 28x28 bytes such as MNIST's.")],
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each run.")] = 3,
    seeds: Annotated[int, typer.Option(min=1, help="Tested runs of each method.")] = 3,
    records: RecordsOption = Path("weft-bench-perceptron.jsonl"),
    write: WriteOption = None,
    json: Json = False,
) -> None:
    """Train a perceptron of twenty layers until it is 97 % right, without and with delay; compare.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....bench.studies.reached import ReachedStudy, reached_page, reached_table

    study = ReachedStudy(data, epochs, seeds)
    rows = collected(study.rows(records), _said, write, lambda rows: reached_page(rows, study.runs))
    print_rows(rows, f"{study.setup}\n{rows[0].machine}", reached_table, json)


def _said(row: ReachedRow) -> str:
    reached = "never" if row.samples is None else f"{row.samples} samples, {row.seconds:.1f} s"
    scores = f"validation {row.validation:.2%}" + (
        "" if row.test is None else f"  test {row.test:.2%}"
    )
    return f"{row.method:<28} factor {row.factor:g}  seed {row.seed}  97 %: {reached}  {scores}"
