"""`weft bench adapters`: full fine-tuning beside LoRA on real data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...options import Json
from .rows import RecordsOption, WriteOption, collected, print_rows

if TYPE_CHECKING:
    from ....bench.studies.adapters import AdapterRow


def adapters(
    data: Annotated[
        str, typer.Option(help="digits, or a .npz file of images such as MNIST's.")
    ] = "digits",
    base_samples: Annotated[int, typer.Option(min=1, help="That the base is trained on.")] = 20_000,
    samples: Annotated[int, typer.Option(min=1, help="That it is tuned on.")] = 5_000,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each method.")] = 3,
    records: RecordsOption = Path("weft-bench-adapters.jsonl"),
    write: WriteOption = None,
    json: Json = False,
) -> None:
    """Tune a perceptron to turned images: all weights, LoRA on a dense and on a sparse base.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....bench.studies.adapters import AdapterStudy, adapters_page, adapters_table

    study = AdapterStudy(data, base_samples, samples, seeds)
    rows = collected(study.rows(records), _said)
    if write is not None:
        write.write_text(adapters_page(rows), encoding="utf-8")
    print_rows(rows, study.setup, adapters_table, json)


def _said(row: AdapterRow) -> str:
    scores = f"turned {row.turned:.2%}  upright {row.upright:.2%}  {row.seconds:.0f} s"
    return f"{row.method:<30} rate {row.rate:g}  seed {row.seed}  {scores}"
