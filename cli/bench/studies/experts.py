"""`weft bench experts`: what mixtures of experts cost, and what they learn."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...options import Json
from ...terminal.console import print_json, print_table

if TYPE_CHECKING:
    from ....bench.experts import Price, TrainedExperts


def experts(
    data: Annotated[
        Path | None, typer.Option(help="A text to train on, dense and upcycled at equal steps.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Windows of the text to train on; all by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each, with --data.")] = 1,
    tokens: Annotated[
        list[int], typer.Option(min=1, help="A layer alone at so many tokens; more of it for more.")
    ] = [],  # noqa: B006 - typer copies it
    target: Annotated[str, typer.Option(help="A machine, as of `weft targets`.")] = "wse2",
    json: Json = False,
) -> None:
    """Plans of a decoder, dense and with experts; with --data upcycled against continued
    training."""
    if tokens:
        _print_layers(tokens, target, json)
        return
    if data is None:
        from ....bench.experts import prices

        rows = list(prices(target=target))
        if json:
            print_json([asdict(row) for row in rows])
        else:
            print_table(_PRICE, [_price(row) for row in rows])
        return
    from ....bench.experts import first_of, trained
    from ....runtime.data import load_data

    chosen = first_of(load_data(str(data), (32,)), samples)
    runs = list(trained(chosen, seeds=seeds))
    if json:
        print_json([asdict(run) for run in runs])
    else:
        names = dict.fromkeys(run.name for run in runs)
        print_table(_TRAINED, [_trained([r for r in runs if r.name == name]) for name in names])


def _print_layers(tokens: list[int], target: str, json: bool) -> None:
    from ....bench.experts import layer_intervals

    found = {count: layer_intervals(count, target=target) for count in tokens}
    if json:
        print_json(found)
        return
    names = next(iter(found.values()))
    rows = [
        (f"{count:,}", *(_beside(cycles[name], cycles["dense"]) for name in names))
        for count, cycles in found.items()
    ]
    print_table(("tokens", *(f"{name} [cycles]" for name in names)), rows)


def _beside(cycles: float, dense: float) -> str:
    own = f"{cycles:,.0f}"
    return own if cycles is dense else f"{own} ({cycles / dense - 1:+.1%})"


_PRICE = (
    *("feed-forward layer", "parameters", "resident [MB]", "touched by a token [MB]", "PEs"),
    *("interval [cycles]", "PE cycles [M]", "fullest PE [bytes]", "experts wait"),
)
_TRAINED = ("model", "parameters", "steps", "training loss", "test loss", "seeds")


def _price(row: Price) -> tuple[str, ...]:
    return (
        *(row.mixture, f"{row.parameters:,}"),
        *(f"{row.resident_bytes / 1e6:.2f}", f"{row.touched_bytes / 1e6:.2f}", f"{row.pes:,}"),
        *(f"{row.interval_cycles:,.0f}", f"{row.pe_cycles / 1e6:,.1f}"),
        *(f"{row.fullest_pe_bytes:,}", f"{row.waiting:.0%}"),
    )


def _trained(runs: list[TrainedExperts]) -> tuple[str, ...]:
    """Of one model over the seeds, with standard errors."""
    from ....bench.studies.paced import with_error

    losses = [run.training_loss for run in runs], [run.test_loss for run in runs]
    own = runs[0].name, f"{runs[0].parameters:,}", f"{runs[0].steps:,}"
    return (*own, *(with_error(values, 3) for values in losses), f"{len(runs)}")
