"""`weft bench distillation`: a model without some of its blocks, tuned in several ways."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from ...options import Json
from ...terminal.console import print_json, print_table
from .rows import RecordsOption, collected


def distillation(
    text: Annotated[
        Path | None, typer.Option(help="Any text; default: the source of Python's argparse.")
    ] = None,
    blocks: Annotated[int, typer.Option(min=2, help="Of the whole model.")] = 8,
    removed: Annotated[int, typer.Option(min=1, help="How many of them are removed.")] = 2,
    steps: Annotated[int, typer.Option(min=1, help="Of training the whole model.")] = 800,
    examples: Annotated[int, typer.Option(min=1, help="Answers to tune on.")] = 300,
    seeds: Annotated[int, typer.Option(min=1, help="Runs.")] = 3,
    records: RecordsOption = Path("weft-bench-distillation.jsonl"),
    write: Annotated[
        Path | None, typer.Option(help="Write the tables here, as a Markdown file.")
    ] = None,
    json: Json = False,
) -> None:
    """Train a tiny causal model, remove the blocks that turn its stream least, tune what is left.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....bench.studies.distillation.runs import StudySizes
    from ....bench.studies.distillation.study import TABLES, DistillationStudy, distillation_page
    from ....bench.studies.text import DEFAULT_TEXT

    sizes = replace(StudySizes(), blocks=blocks, removed=removed, steps=steps, examples=examples)
    study = DistillationStudy(text or DEFAULT_TEXT, seeds, sizes)
    rows = collected(
        study.rows(records),
        lambda row: f"seed {row.seed}: {row.seconds:.0f} s",
        write,
        lambda rows: distillation_page(rows, seeds),
    )
    if json:
        print_json({"rows": list(map(asdict, rows))})
        return
    typer.echo(f"{study.setup}\n{rows[0].machine}")
    for title, table in TABLES.items():
        typer.echo(f"\n{title}\n")
        print_table(*table(rows))
