"""`weft bench lever-losses`: what levers on saved activations cost in training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...options import Json
from .rows import RecordsOption, collected, print_rows

if TYPE_CHECKING:
    from ....bench.studies.levers.losses import LeverLoss


def lever_losses(
    images: Annotated[Path, typer.Option(help="A folder of CIFAR-10's .bin files.")],
    model: Annotated[str, typer.Option(help="Of `weft models`, for 32 x 32 images.")] = "revnet38",
    lever: Annotated[list[str], typer.Option(help="By name; default: all.")] = [],  # noqa: B006
    samples: Annotated[int, typer.Option(min=1, help="Training images of a run.")] = 5000,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each lever.")] = 1,
    records: RecordsOption = Path("weft-bench-lever-losses.jsonl"),
    json: Json = False,
) -> None:
    """Train a network with each lever on the same images; compare losses on images held out.

    When it was interrupted, the same command goes on where it stopped.
    """
    from ....backend.errors import UnknownNameError
    from ....bench.studies.levers.losses import lever_losses as rows_of
    from ....bench.studies.levers.losses import losses_table
    from ....bench.studies.levers.plans import LEVERS

    for name in lever:
        if name not in LEVERS:
            raise UnknownNameError("lever", name, [*LEVERS], "weft bench lever-losses --help")
    chosen = {name: LEVERS[name] for name in lever or LEVERS}
    rows = (
        row
        for seed in range(seeds)
        for row in rows_of(model, chosen, images, samples, seed, records)
    )
    heading = f"{model}, {samples:,} images of CIFAR-10 at batch size 1"
    print_rows(collected(rows, _said), heading, losses_table, json)


def _said(row: LeverLoss) -> str:
    loss = "diverged" if row.loss is None else f"loss {row.loss:.3f}"
    return f"{row.model}  {row.lever}  seed {row.seed}  {loss}"
