"""`weft sparsity`: what the zeros of a plan gain, and a new map for those it has now."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json, PlanDirectory
from .terminal.console import print_json, print_table

if TYPE_CHECKING:
    from ..compiler.plan.document import Totals
    from ..compiler.plan.plan import Plan
    from ..compiler.remap.sparse_costs import SparseLayer
    from ..study.remap_price import RemapPrice

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
    from ..compiler.remap.sparse_costs import sparse_layers

    loaded = load(plan)
    layers = sparse_layers(loaded)
    times = masked_dense_us(loaded) if host and loaded.tensors else {}
    if json:
        print_json([_data(layer, times) for layer in layers])
        return
    if not layers:
        typer.echo(_NO_MASKS)
        return
    print_table(*_without_empty(_HEADERS, [_row(layer, times) for layer in layers]))
    typer.echo(_LEGEND.format(target=loaded.document.target))
    if times:
        typer.echo(_HOST)
    typer.echo(f"\n{_whole(loaded)}")


_LEGEND = """
asked, zero  share of the masked weights: by the recipe's first masks, and as the masks are
ideal        speed-up if every zero were skipped at no cost
predicted    speed-up on {target}: a tick of the stage at the plan's tiling, against no zeros
break-even   least share of zeros that is faster than none
limited by   what takes most of a tick beside the products themselves (docs/sparse-plans.md)
room         so many times the weights of the fullest PE fit its memory"""
_HOST = """\
host us      measured here, masked dense: the stage's forward in torch at batch size 1,
             one thread; zeros are multiplied, so they save nothing"""


def _whole(plan: Plan) -> str:
    """The plan and one of the same model without zeros, each with the tilings it gets."""
    from ..backend.errors import InfeasibleError
    from ..compiler.remap.new_map import new_map

    sparse = new_map(plan).document
    slowest = max(sparse.stages, key=lambda stage: stage.pace_cycles)
    sparse_weights = plan.masks.keys() | plan.document.shares_of_zeros.keys()
    masked = any(name in sparse_weights for name in slowest.parameters)
    text = (
        f"whole plan, mapped for these zeros: {_pace(sparse.totals)}; slowest stage"
        f" {slowest.id}, {'sparse' if masked else 'which has no zeros'}"
    )
    try:
        full = replace(plan, masks={}, document=replace(plan.document, shares_of_zeros={}))
        dense = new_map(full, is_final=True).document
    except InfeasibleError:
        return f"{text}\nwithout any zeros it does not fit"
    gain = dense.totals.initiation_interval_cycles / sparse.totals.initiation_interval_cycles
    return (
        f"{text}\nwithout zeros, mapped for that:     {_pace(dense.totals)} ({gain:.2f}x the time)"
    )


def _pace(totals: Totals) -> str:
    return f"{totals.initiation_interval_cycles:,} cycles per sample on {totals.pes_used:,} PEs"


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
    """Lay a trained plan out anew for the masks it has now; weights and masks stay.

    On the same target it says what that takes and when it pays (docs/growth.md).
    """
    from ..compiler.plan.codec import to_data
    from ..compiler.plan.store import load
    from ..compiler.remap.new_map import new_map, target_of
    from ..study.remap_price import remap_price

    before = load(plan)
    made = new_map(before, target, is_final=final)
    made.save(output)
    stays = target is None and bool(before.training.masks)
    price = remap_price(before, made.document, target_of(before)) if stays else None
    if json:
        totals = to_data(made.document.totals)
        print_json({"plan": str(output), "totals": totals, "price": price and _price_data(price)})
        return
    replaced = output.resolve() == plan.resolve()
    hint = "in place of the old one" if replaced else f"what changed: weft diff {plan} {output}"
    typer.echo(f"{made.summary()}\n\nwritten to {output}; {hint}")
    if price is not None:
        typer.echo(price.text())
    if not before.masks:
        typer.echo(_NO_MASKS)


def _price_data(price: RemapPrice) -> dict[str, int | None]:
    return {**asdict(price), "pays_after_samples": price.pays_after_samples}


_NO_MASKS = "no masks: every weight of this plan is dense"

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
        "new map" if room.needs_new_map else _times(room.capacity / max(room.nonzeros, 1)),
        f"{times[layer.stage]:.0f}" if layer.stage in times else "",
    ]


def _without_empty(
    headers: tuple[str, ...], rows: list[list[str]]
) -> tuple[list[str], list[list[str]]]:
    """Without the columns that hold nothing."""
    filled = [index for index in range(len(headers)) if any(row[index] for row in rows)]
    return [headers[i] for i in filled], [[row[i] for i in filled] for row in rows]


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 10 else f"{ratio:,.0f}x"


def _data(layer: SparseLayer, times: dict[str, float]) -> dict[str, object]:
    found = {**asdict(layer), "limited_by": layer.limited_by}
    found["needs_new_map"] = layer.room.needs_new_map
    return {**found, "host_masked_dense_us": times.get(layer.stage)}
