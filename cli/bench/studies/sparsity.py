"""`weft bench sparsity`: sparse training beside dense."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...options import Json, OverridesOption
from ...terminal.console import print_json, print_table
from .rows import RecordsOption, WriteOption, collected

if TYPE_CHECKING:
    from ....bench.studies.training import Record

AlgorithmsOption = Annotated[list[str], typer.Option("--algorithm", help="static, set, rigl.")]
LevelsOption = Annotated[
    list[float], typer.Option("--level", help="Shares of weights that are zero.")
]


def sparsity(
    algorithm: AlgorithmsOption = ["static", "set", "rigl"],  # noqa: B006 - typer copies it
    level: LevelsOption = [0.75, 0.9],  # noqa: B006
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each setting.")] = 3,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first of these runs.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs over the digits.")] = 4,
    records: RecordsOption = Path("weft-bench-sparsity.jsonl"),
    write: WriteOption = None,
    set_: OverridesOption = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Train ResNet-20 on digits dense and sparse, pipelined at batch size 1; compare.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....bench.studies.records import measure_missing
    from ....bench.studies.sparsity import sparsity_experiment
    from ....bench.studies.sparsity_table import paired_table, sparsity_page, sparsity_table
    from ....bench.studies.training import settings

    experiment = sparsity_experiment(epochs, algorithm, level, set_)
    chosen = settings(experiment.methods, [1.0], range(first_seed, first_seed + seeds))
    found = collected(
        measure_missing(experiment, chosen, records),
        _said,
        write,
        lambda records: sparsity_page(records, len(chosen)),
    )
    if json:
        print_json({"records": list(map(asdict, found))})
    else:
        typer.echo(f"{experiment.setup}\n{found[0].machine}\n")
        print_table(*sparsity_table(found))
        typer.echo()
        print_table(*paired_table(found))


def _said(record: Record) -> str:
    return (
        f"{record.method:<12} seed {record.seed}  accuracy {record.accuracy * 100:5.1f} %"
        f"  {record.seconds:.0f} s"
    )
