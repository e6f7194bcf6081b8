"""`weft bench finetuning`: LoRA beside full fine-tuning, in bytes and cycles."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ...options import Json
from ...terminal.console import print_json, print_table

if TYPE_CHECKING:
    from ....bench.finetuning import Row


def finetuning(
    layers: Annotated[int, typer.Option(min=1, help="Layers; Llama-2-7B has 32.")] = 32,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens of a sample.")] = 128,
    rank: Annotated[int, typer.Option(min=1, help="Rank of the adapters.")] = 16,
    target: Annotated[str, typer.Option(help="A machine, as of `weft targets`.")] = "wse3",
    wafers: Annotated[
        int | None, typer.Option(min=1, help="Of it; default: the fewest that hold each plan.")
    ] = None,
    granularity: Annotated[str, typer.Option(help="block or finest.")] = "block",
    recompute: Annotated[
        bool, typer.Option(help="Stages do their forward again in the backward.")
    ] = True,
    pe_memory: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Bytes of a PE for LoRA at most; a plan for each. Default: all."),
    ] = None,
    json: Json = False,
) -> None:
    """Compile Llama-2-7B, without weights, for full fine-tuning and for LoRA; compare the plans."""
    from ....backend.errors import UnknownNameError
    from ....bench.finetuning import Setting
    from ....bench.finetuning import finetuning as rows_of

    if granularity not in ("block", "finest"):
        known = ("block", "finest")
        raise UnknownNameError("granularity", granularity, known, "weft bench finetuning --help")
    sizes = layers, tokens, rank, target, granularity, recompute
    setting = Setting(*sizes, tuple(pe_memory or ()))
    rows = list(rows_of(setting, wafers))
    if json:
        print_json([asdict(row) for row in rows])
        return
    print_table(_HEADERS, [_line(row) for row in rows])
    full, *others = rows
    typer.echo()
    for lora in others:
        typer.echo(
            f"{lora.way} needs {lora.total_bytes / full.total_bytes:.1%} of the bytes,"
            f" {lora.interval_cycles / full.interval_cycles:.1%} of the interval,"
            f" {lora.pe_cycles / full.pe_cycles:.1%} of the PE cycles,"
            f" {lora.macs / full.macs:.1%} of the MACs"
        )


_CLASSES = ("weights", "optimizer", "gradient", "activation_fifo", "workspace")
_HEADERS = (
    *("way", "trained", "wafers", "PEs", "interval [cycles]", "PE cycles [1e9]", "MACs [1e9]"),
    *("weights [GB]", "optimizer", "gradients", "FIFOs", "workspace", "all"),
)


def _line(row: Row) -> tuple[str, ...]:
    return (
        *(row.way, f"{row.trained:,}", f"{row.wafers}", f"{row.pes:,}"),
        *(f"{row.interval_cycles:,.0f}", f"{row.pe_cycles / 1e9:,.0f}", f"{row.macs / 1e9:,.0f}"),
        *(f"{row.bytes.get(name, 0) / 1e9:,.1f}" for name in _CLASSES),
        f"{row.total_bytes / 1e9:,.1f}",
    )
