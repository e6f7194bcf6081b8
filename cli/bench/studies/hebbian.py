"""`weft bench hebbian`: tasks one after the other, with and without a plastic head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...options import Json
from .rows import RecordsOption, WriteOption, collected, print_rows

if TYPE_CHECKING:
    from ....bench.studies.continual.study import TaskRow


def hebbian(
    tasks: Annotated[
        str, typer.Option(help="permuted (ten tasks) or split (pairs of classes).")
    ] = "permuted",
    data: Annotated[
        str, typer.Option(help="digits, or a .npz file of images such as MNIST's.")
    ] = "digits",
    samples: Annotated[int, typer.Option(min=1, help="Training samples of a task.")] = 2000,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each method.")] = 3,
    rate: Annotated[float, typer.Option(min=0, help="Learning rate at batch size 1.")] = 1e-2,
    penalty: Annotated[float, typer.Option(min=0, help="Lambda of EWC.")] = 30.0,
    records: RecordsOption = Path("weft-bench-hebbian.jsonl"),
    write: WriteOption = None,
    json: Json = False,
) -> None:
    """Train a perceptron on one task after the other, with a plain and a plastic head; compare.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....bench.studies.continual.study import TaskStudy, task_page, task_table

    study = TaskStudy(tasks, data, samples, seeds, rate, penalty)
    rows = collected(
        study.rows(records), _said, write, lambda rows: task_page(rows, len(study.keys))
    )
    print_rows(rows, f"{study.setup}\n{rows[0].machine}", task_table, json)


def _said(row: TaskRow) -> str:
    scores = f"all tasks {row.average:.2%}, each when learned {row.fresh:.2%}"
    return f"{row.method:<22} seed {row.seed}  {scores}  {row.seconds:.0f} s"
