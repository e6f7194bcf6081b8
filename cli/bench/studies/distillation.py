"""`weft bench distillation`: a model without some of its blocks, tuned in several ways."""

from __future__ import annotations

from dataclasses import asdict
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
    model: Annotated[
        Path | None,
        typer.Option(help="Folder of a causal model of transformers; default: a tiny one."),
    ] = None,
    blocks: Annotated[
        int | None, typer.Option(min=2, help="Of the tiny model; default: 8.")
    ] = None,
    removed: Annotated[int, typer.Option(min=1, help="How many of them are removed.")] = 2,
    steps: Annotated[
        int | None,
        typer.Option(
            min=0, help="Of training the whole model first; default: 800, none with --model."
        ),
    ] = None,
    examples: Annotated[int, typer.Option(min=1, help="Answers to tune on.")] = 300,
    seeds: Annotated[int, typer.Option(min=1, help="Runs.")] = 3,
    records: RecordsOption = Path("weft-bench-distillation.jsonl"),
    write: Annotated[
        Path | None, typer.Option(help="Write the tables here, as a Markdown file.")
    ] = None,
    json: Json = False,
) -> None:
    """Train a tiny causal model, remove the blocks that turn its stream least, tune what is left.

    With --model it begins with the model in a folder, and its tokenizer if there is one.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....backend.errors import UserError
    from ....bench.studies.distillation.runs import StudySizes
    from ....bench.studies.distillation.study import TABLES, DistillationStudy, distillation_page
    from ....bench.studies.text import DEFAULT_TEXT

    if model is not None and blocks is not None:
        raise UserError(
            "weft bench distillation",
            expected="--model, or --blocks of the tiny one",
            got=f"--model {model} and --blocks {blocks}",
            change="leave one of them out",
        )
    plain = StudySizes()
    sizes = StudySizes(
        model=model,
        blocks=plain.blocks if blocks is None else blocks,
        removed=removed,
        steps=(0 if model else plain.steps) if steps is None else steps,
        examples=examples,
    )
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
