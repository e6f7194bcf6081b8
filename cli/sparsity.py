"""`weft sparsity`: what the zeros of a plan gain, and a new map for those it has now."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import print_json, print_table
from .options import Json, PlanDirectory

if TYPE_CHECKING:
    from ..compiler.sparse_costs import SparseLayer

app = typer.Typer(help="Sparse weights of plans.", no_args_is_help=True)


@app.callback()
def sparsity() -> None:
    """Sparse weights of plans."""


@app.command()
def info(
    plan: PlanDirectory,
    host: Annotated[
        bool, typer.Option(help="Measure the masked dense forward on this host, too.")
    ] = True,
    json: Json = False,
) -> None:
    """Per layer: sparsity asked for and held, ideal and predicted speed-up on the target."""
    from ..bench.masked_dense import masked_dense_us
    from ..compiler.plan.store import load
    from ..compiler.sparse_costs import sparse_layers

    loaded = load(plan)
    layers = sparse_layers(loaded)
    times = masked_dense_us(loaded) if host and loaded.tensors else {}
    if json:
        print_json([_data(layer, times) for layer in layers])
        return
    if not layers:
        typer.echo("no masks: every weight of this plan is dense")
        return
    print_table(_HEADERS, [_row(layer, times) for layer in layers])
    typer.echo(
        f"\nspeed-ups: predicted for {loaded.document.target}, a tick of the stage at the plan's"
        " tiling against the same without zeros"
    )
    if times:
        typer.echo(
            "host us: measured here, masked dense: the stage's forward in torch at batch size 1,"
            " one thread; zeros are multiplied, so they save nothing"
        )


@app.command()
def remap(
    plan: PlanDirectory,
    output: Annotated[Path, typer.Option("-o", "--output", help="Plan directory to write.")],
    target: Annotated[str | None, typer.Option(help="Another target, by name or file.")] = None,
    final: Annotated[
        bool,
        typer.Option("--final", help="Masks stay as they are from now on, so tiles are balanced."),
    ] = False,
    json: Json = False,
) -> None:
    """Lay a trained plan out anew for the masks it has now; weights and masks stay."""
    from ..compiler.new_map import new_map
    from ..compiler.plan.data import to_data
    from ..compiler.plan.store import load

    before = load(plan)
    made = new_map(before, target, is_final=final)
    made.save(output)
    if json:
        print_json({"plan": str(output), "totals": to_data(made.document.totals)})
        return
    typer.echo(f"{made.summary()}\n\nwritten to {output}; what changed: weft diff {plan} {output}")


_HEADERS = (
    *("stage", "weights", "asked", "zero", "ideal", "predicted", "break-even", "limited by"),
    *("room", "host us"),
)


def _row(layer: SparseLayer, times: dict[str, float]) -> list[str]:
    room = layer.room
    return [
        layer.stage,
        f"{layer.weights:,}",
        "" if layer.requested is None else f"{layer.requested:.1%}",
        f"{layer.actual:.1%}",
        f"{layer.ideal:.2f}x",
        f"{layer.predicted:.2f}x",
        "none" if layer.break_even is None else f"{layer.break_even:.1%}",
        layer.limited_by,
        "new map" if room.needs_new_map else f"{room.capacity / max(room.nonzeros, 1):.1f}x",
        f"{times[layer.stage]:.0f}" if layer.stage in times else "",
    ]


def _data(layer: SparseLayer, times: dict[str, float]) -> dict[str, object]:
    found = {**asdict(layer), "limited_by": layer.limited_by}
    found["needs_new_map"] = layer.room.needs_new_map
    return {**found, "host_masked_dense_us": times.get(layer.stage)}
