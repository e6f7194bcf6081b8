"""`weft train`: a plan in numbers."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..names import (
    check_data,
    check_folder,
    check_output,
    check_settings,
    check_weights,
    check_where,
)
from ..options import Json, OverridesOption, PlanDirectory, Weights
from ..terminal.console import print_json
from ..terminal.progress import run_data

if TYPE_CHECKING:
    from ...compiler.plan.plan import Plan

ExecutorOption = Annotated[
    str, typer.Option(help="jax, torch-xla or reference; see `weft doctor`.")
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Default: the recipe's.")]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(train)


def train(
    plan: PlanDirectory,
    data: Annotated[
        str | None,
        typer.Option(
            help="digits, or the path of: an .npz file, CIFAR-10's binary files, a folder of images"
            " by class, a text (for language models). Default: the recipe's."
        ),
    ] = None,
    executor: Annotated[
        str | None, typer.Option(help="jax (default), torch-xla or reference; see `weft doctor`.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or tpu; default: what the executor finds.")
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="Devices to share the stages; default: 1, or all of all hosts."),
    ] = None,
    coordinator: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="One of several processes: where process 0 runs, or `auto` where a cluster says.",
        ),
    ] = None,
    process: Annotated[
        str | None, typer.Option(metavar="N/COUNT", help="Which of them, from 0/COUNT on.")
    ] = None,
    epochs: Epochs = None,
    weights: Weights = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Write checkpoints to this directory; also at Ctrl-C."),
    ] = None,
    every: Annotated[
        int | None, typer.Option(min=1, help="Samples between checkpoints; default: an epoch.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Checkpoints to keep; default: 3.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on from the newest checkpoint of this directory, or from this one."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(help="Write metrics.jsonl to this directory; default: with the checkpoints."),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard scalars there, too.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the trained plan here.")
    ] = None,
    adapter: Annotated[
        Path | None,
        typer.Option(
            help="Write trained adapters, or a soft prompt, to this folder, as PEFT has them."
        ),
    ] = None,
    set_: OverridesOption = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Train a plan, one sample at a time, by the recipe it carries."""
    check_where(executor, device)
    check_data(data)
    check_weights(weights)
    check_output(output)
    for option, folder in (("--checkpoint", checkpoint), ("--log", log), ("--adapter", adapter)):
        check_folder(option, folder)
    check_folder("--resume", resume, is_there=True)
    if resume is None:  # a checkpoint has a recipe of its own
        check_settings(plan, set_)
    from ...api import train as run_plan
    from ...compiler.plan.store import load
    from ...runtime.jax.cache import keep_compiled_programs
    from ...runtime.jax.shards.processes import is_first, join
    from ...runtime.training.training_line import TrainingLine
    from ...runtime.weights.adapters import check_adapted, save_adapter

    if coordinator is not None:
        _libraries_print_to_stderr()
    join(coordinator, process)
    if executor in (None, "jax"):
        keep_compiled_programs()
    loaded = load(plan) if weights is None else _started(load(plan), weights, resume)
    if adapter is not None:
        check_adapted(loaded, adapter)
    named = data or _data_of(loaded, set_)
    if output is checkpoint is resume is adapter is None:
        typer.echo("  trained weights are not kept: -o DIR or --checkpoint DIR does", err=True)
    line = TrainingLine("train")
    run = run_plan(
        loaded,
        named,
        executor=executor,
        device=device,
        devices=devices,
        epochs=epochs,
        settings=set_,
        on_start=line.start,
        on_progress=line,
        checkpoint=checkpoint,
        every=every,
        keep=keep,
        resume=resume,
        log=log,
        tensorboard=tensorboard,
    )
    line.close()
    if not is_first():
        return
    trained = run.trained_plan(loaded)
    if output is not None:
        trained.save(output)
    if adapter is not None:
        save_adapter(trained, adapter)
    if json:
        print_json(run_data(run))
        return
    typer.echo(run.summary())
    if output is not None:
        typer.echo(f"\ntrained plan written to {output}")


def _libraries_print_to_stderr() -> None:
    """What gloo says about connections to other processes must not get between the lines of ours.

    It writes to file descriptor 1; ours goes to a copy of it from now on.
    """
    sys.stdout.flush()
    sys.stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)


def _started(plan: Plan, weights: Path, resume: Path | None) -> Plan:
    from ...backend.errors import UserError
    from ...runtime.weights.load import load_weights

    if resume is not None:
        raise UserError(
            f"--weights {weights}",
            expected="a new run",
            got=f"--resume {resume}, which has weights of its own",
            change="leave out one of them",
        )
    return load_weights(plan, weights)


def _data_of(plan: Plan, overrides: list[str]) -> str:
    """The data that the plan's recipe names."""
    from ...backend.errors import UserError
    from ...compiler.recipes.carried import carried_recipe
    from ...compiler.recipes.read import make_recipe

    found = make_recipe(carried_recipe(plan), overrides).data.name
    if found is None:
        raise UserError(
            "data",
            expected="--data, or a recipe that names its data",
            got="neither",
            change="give --data digits or the path of a file",
        )
    return found
