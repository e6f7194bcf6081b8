"""`weft bench training`: training with delayed gradients, compared."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...options import Json, OverridesOption
from ...terminal.console import print_json, print_table
from .rows import RecordsOption

if TYPE_CHECKING:
    from ....bench.studies.quadratic import QuadraticRow
    from ....bench.studies.training import Record

NameList = list[str]
ExperimentsOption = Annotated[
    NameList,
    typer.Option(
        "--experiment",
        "-e",
        help="quadratic, digits, text, rules; default: all. Or cifar10 or gpt alone.",
    ),
]
Methods = Annotated[
    NameList, typer.Option("--method", help="'sequential' or a delay compensation; default: all.")
]
FactorsOption = Annotated[
    list[float], typer.Option("--factor", help="Multiples of the usual learning rate.")
]


def training(
    experiment: ExperimentsOption = [],  # noqa: B006 - typer copies it
    method: Methods = [],  # noqa: B006
    factor: FactorsOption = [1.0, 4.0],  # noqa: B006
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each setting.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs over the digits.")] = 5,
    text: Annotated[
        Path | None, typer.Option(help="Any text; default: the source of Python's argparse.")
    ] = None,
    records: RecordsOption = Path("weft-bench-training.jsonl"),
    limit: Annotated[
        float | None, typer.Option(min=0, help="Begin no run of a search after so many seconds.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="A folder of CIFAR-10's .bin files, for cifar10.")
    ] = None,
    progress: Annotated[
        Path, typer.Option(help="Where unfinished runs of cifar10 are kept.")
    ] = Path("weft-bench-training"),
    write: Annotated[
        Path | None, typer.Option(help="Write the page here, as a Markdown file.")
    ] = None,
    set_: OverridesOption = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Train with delayed gradients, with each compensation and without delay; compare.

    It takes an hour or so. When it was interrupted, the same command goes on where it stopped.
    """
    from ....bench.studies.suite import PARTS, Suite, run
    from ....bench.studies.text import DEFAULT_TEXT

    suite = Suite(
        parts=tuple(experiment) or PARTS,
        methods=method,
        factors=factor,
        seeds=seeds,
        epochs=epochs,
        overrides=set_,
        text=text or DEFAULT_TEXT,
        limit_s=limit,
        images=images,
        progress=progress,
    )
    found, rows = run(suite, records, write, _tell)
    if json:
        print_json({"records": list(map(asdict, found)), "quadratic": list(map(asdict, rows))})
    else:
        _print(found, rows)
    if write is not None:
        typer.echo(f"written to {write}", err=True)


def _tell(record: Record) -> None:
    loss = "not finite" if record.loss is None else f"{record.loss:.3f}"
    typer.echo(
        f"  {record.experiment:<12} {record.method:<10} lr {record.rate:<8g} seed {record.seed}"
        f"  accuracy {record.accuracy * 100:5.1f} %  loss {loss}  {record.seconds:.0f} s",
        err=True,
    )


def _print(records: list[Record], rows: list[QuadraticRow]) -> None:
    from ....bench.studies.evidence import quadratic_table, training_table
    from ....bench.studies.rules import GPT, RULES
    from ....bench.studies.suite import CIFAR10

    for name in dict.fromkeys(record.experiment for record in records):
        if name in (RULES.name, GPT.name, CIFAR10):
            continue  # its table is on the page
        own = [record for record in records if record.experiment == name]
        typer.echo(f"\n{name}: {own[0].setup}; {own[0].epochs} epochs\n{own[0].machine}\n")
        print_table(*training_table(own))
    for condition in dict.fromkeys(row.condition for row in rows):
        typer.echo(f"\nquadratic, kappa = {condition}: half-lives in updates\n")
        print_table(*quadratic_table([row for row in rows if row.condition == condition]))
