"""`weft bench adapters`: full fine-tuning beside LoRA on real data."""

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


def adapters(
    data: Annotated[
        str, typer.Option(help="digits, or a .npz file of images such as MNIST's.")
    ] = "digits",
    base_samples: Annotated[int, typer.Option(min=1, help="That the base is trained on.")] = 20_000,
    samples: Annotated[int, typer.Option(min=1, help="That it is tuned on.")] = 5_000,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each method.")] = 3,
    records: Annotated[
        Path, typer.Option(help="Runs are added here, and those it holds are not repeated.")
    ] = Path("weft-bench-adapters.jsonl"),
    write: Annotated[
        Path | None, typer.Option(help="Write the table here, as a Markdown file.")
    ] = None,
    json: Json = False,
) -> None:
    """Tune a perceptron to turned images: all weights, LoRA on a dense and on a sparse base.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....bench.studies.adapters import (
        AdapterStudy,
        adapters_page,
        adapters_table,
    )

    study, rows = AdapterStudy(data, base_samples, samples, seeds), []
    for row in study.rows(records):
        rows.append(row)
        said = f"turned {row.turned:.2%}  upright {row.upright:.2%}  {row.seconds:.0f} s"
        typer.echo(f"  {row.method:<30} rate {row.rate:g}  seed {row.seed}  {said}", err=True)
    if write is not None:
        write.write_text(adapters_page(rows), encoding="utf-8")
    if json:
        print_json({"rows": list(map(asdict, rows))})
    else:
        typer.echo(f"{study.setup}\n")
        print_table(*adapters_table(rows))
