"""`weft bench pacing`: self-paced data beside a random order."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ...options import (
    Json,
    OverridesOption,
)
from ...terminal.console import (
    print_json,
    print_table,
)


def pacing(
    data: Annotated[
        str, typer.Option(help="digits, or a .npz file of 28x28 bytes such as MNIST's.")
    ] = "digits",
    epochs: Annotated[int, typer.Option(min=1, help="As many updates as so many epochs.")] = 3,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each method.")] = 3,
    samples: Annotated[int, typer.Option(min=1, help="Training samples at most.")] = 12_000,
    records: Annotated[
        Path, typer.Option(help="Runs are added here, and those it holds are not repeated.")
    ] = Path("weft-bench-pacing.jsonl"),
    write: Annotated[
        Path | None, typer.Option(help="Write the table here, as a Markdown file.")
    ] = None,
    set_: OverridesOption = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Train a perceptron on self-paced data and in random order at equal updates; compare.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....bench.studies.paced import (
        PacedStudy,
        paced_page,
        paced_table,
    )

    study = PacedStudy(data, epochs, seeds, samples, overrides=tuple(set_))
    rows = []
    for row in study.rows(records):
        rows.append(row)
        said = f"accuracy {row.accuracy:.2%}  loss {row.loss:.4f}  {row.seconds:.0f} s"
        typer.echo(f"  {row.method:<30} seed {row.seed}  {said}", err=True)
        if write is not None:
            write.write_text(paced_page(rows, len(study.keys)), encoding="utf-8")
    if json:
        print_json({"rows": list(map(asdict, rows))})
    else:
        typer.echo(f"{study.setup}\n{rows[0].machine}\n")
        print_table(*paced_table(rows))
