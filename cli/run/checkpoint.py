"""`weft checkpoint`: what a checkpoint directory holds, and the weights in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_records

app = typer.Typer(
    no_args_is_help=True, help="Checkpoints of training runs: list, export, adapter, plan."
)

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", help="What --checkpoint named, or one checkpoint in it.")
]
PlanOption = Annotated[
    Path | None, typer.Option(help="The plan; default: the one beside the checkpoint.")
]


@app.command("list")
def list_checkpoints(directory: Directory, json: Json = False) -> None:
    """The checkpoints of a directory: where they stand, and whether they are whole."""
    from ...backend.errors import CheckpointFileError
    from ...runtime.checkpoint import found_in, newest, read

    rows = []
    for path in found_in(directory) or [newest(directory).path]:
        try:
            header = read(path).header
        except CheckpointFileError as error:
            rows.append((path.name, "", "", "", f"damaged: {error.where}: {error.got}"))
        else:
            epoch = f"{header.samples / header.epoch_samples:.2f}"
            rows.append((path.name, header.samples, epoch, header.executor, "whole"))
    print_records(("checkpoint", "samples", "epochs", "executor", "state"), rows, json)


@app.command("export")
def export_verb(
    directory: Directory,
    output: Annotated[Path, typer.Option("-o", "--output", help="safetensors file to write.")],
    plan: PlanOption = None,
) -> None:
    """Drain the pipeline of a checkpoint and write the weights by the model's own names."""
    from ...runtime import checkpoint

    found = checkpoint.newest(directory)
    tensors = checkpoint.export(found, output, plan)
    count = sum(value.numel() for value in tensors.values())
    typer.echo(
        f"{len(tensors)} tensors, {count:,} numbers, after {found.header.samples:,} samples:"
        f" {output}\nload them: model.load_state_dict(safetensors.torch.load_file('{output}'))"
    )


@app.command("adapter")
def adapter_verb(
    directory: Directory,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write, as PEFT's.")],
    plan: PlanOption = None,
) -> None:
    """Drain the pipeline of a checkpoint and write its adapters under PEFT's names."""
    from ...runtime import checkpoint
    from ...runtime.weights.adapters import save_adapter

    found = checkpoint.newest(directory)
    save_adapter(checkpoint.drained(found, plan), output)
    typer.echo(f"adapters after {found.header.samples:,} samples written to {output}")


@app.command("plan")
def plan_verb(
    directory: Directory,
    output: Annotated[Path, typer.Option("-o", "--output", help="Plan directory to write.")],
    plan: PlanOption = None,
) -> None:
    """Drain the pipeline of a checkpoint and write the trained plan: its weights and masks."""
    from ...runtime import checkpoint

    found = checkpoint.newest(directory)
    checkpoint.drained(found, plan).save(output)
    typer.echo(f"trained plan after {found.header.samples:,} samples written to {output}")
