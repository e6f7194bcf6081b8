"""`weft bench hebbian`: tasks one after the other, with and without a plastic head."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ...options import Json
from ...terminal.console import (
    print_json,
    print_table,
)


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
    records: Annotated[
        Path, typer.Option(help="Runs are added here, and those it holds are not repeated.")
    ] = Path("weft-bench-hebbian.jsonl"),
    write: Annotated[
        Path | None, typer.Option(help="Write the table here, as a Markdown file.")
    ] = None,
    json: Json = False,
) -> None:
    """Train a perceptron on one task after the other, with a plain and a plastic head; compare.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....bench.studies.continual.study import (
        TaskStudy,
        task_page,
        task_table,
    )

    study = TaskStudy(tasks, data, samples, seeds, rate, penalty)
    rows = []
    for row in study.rows(records):
        rows.append(row)
        said = f"all tasks {row.average:.2%}, each when learned {row.fresh:.2%}"
        typer.echo(f"  {row.method:<22} seed {row.seed}  {said}  {row.seconds:.0f} s", err=True)
        if write is not None:
            write.write_text(task_page(rows, len(study.keys)), encoding="utf-8")
    if json:
        print_json({"rows": list(map(asdict, rows))})
    else:
        typer.echo(f"{study.setup}\n{rows[0].machine}\n")
        print_table(*task_table(rows))
