"""`weft bench run`: samples per second, against the loops a user would write instead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import Json
from ..terminal.console import Steps, print_json, print_table

if TYPE_CHECKING:
    from ...bench.execution.cases import TimedCase
    from ...bench.execution.times import LoopTimes

HEADER = ("network", "loop", "stages", "us/sample", "samples/s", "x eager", "x jax", "x batches")
MORE = ("cpu us", "cpu x eager", "cpu x jax", "cpu x none", "compile s", "state MB")
MEMORY = ("temporary MB", "peak MB", "compiled", "grown MB")
_SAMPLES = {"mlp": 512, "gpt": 64, "resnet20": 64, "resnet18": 32}

Networks = Annotated[
    list[str], typer.Option("--network", "-n", help="mlp, gpt, resnet20 or resnet18.")
]
SamplesOption = Annotated[int | None, typer.Option(min=1, help="Samples of a round.")]
UpdateOption = Annotated[
    str,
    typer.Option(help="plain, or compensated: decay, clipping, and sc+lwp in the pipeline."),
]
Compensations = Annotated[
    list[str],
    typer.Option(help="Delay compensations to time the pipeline with, as in a recipe."),
]


def run(
    network: Networks = list(_SAMPLES),  # noqa: B006 - typer copies it
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which the loops alternate.")] = 9,
    samples: SamplesOption = None,
    update: UpdateOption = "plain",
    compensation: Compensations = [],  # noqa: B006
    torch_xla: Annotated[
        bool, typer.Option("--torch-xla", help="Time the pipeline by that executor, too.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda; skipped where there is none.")] = "cpu",
    cores: Annotated[
        int | None, typer.Option(min=1, help="Keep to so many cores; default: all.")
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds for all: begin nothing more when they are over."),
    ] = None,
    row_limit: Annotated[
        float,
        typer.Option(min=0, help="Seconds for the rounds of each loop; one round is made anyway."),
    ] = 60,
    records: Annotated[
        Path | None,
        typer.Option(help="Add rows to this file; networks that have theirs there are not timed."),
    ] = None,
    json: Json = False,
) -> None:
    """Time training at batch size 1: eager torch, JAX by hand, weft without and with a pipeline.

    Ratios are of time per sample: 'x eager' 0.25 is four times as fast as eager torch; 'batches' is
    eager torch with BatchNorm, 128 samples at a time. 'cpu' is processor time, the least of all
    rounds.
    """
    from ...backend.errors import UnknownNameError
    from ...bench.execution.cases import make_case
    from ...bench.execution.device import DEVICES, use, use_cores
    from ...bench.machine import machine_line

    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES, "weft bench run --help")
    if cores is not None:
        use_cores(cores)
    chosen = tuple(compensation)
    cases = [make_case(name, samples or _SAMPLES.get(name, 64), update, chosen) for name in network]
    reason = use(device)
    if reason is not None:
        typer.echo(f"skipped: {device} does not work here: {reason}", err=json)
        if json:
            print_json({"skipped": reason, "device": device})
        return
    words = f"{machine_line()}; {device}; float32, SGD with momentum, {update}, {rounds} rounds"
    typer.echo(words + "\n", err=json)
    found = _measured(cases, rounds, device, limit, torch_xla, row_limit, records)
    if json:
        print_json([asdict(row) for rows in found for row in rows])
        return
    for rows in found:
        print_table((*HEADER, *MORE, *MEMORY), [_cells(row) for row in rows])


def _measured(
    cases: list[TimedCase],
    rounds: int,
    device: str,
    limit: float | None,
    torch_xla: bool,
    row_limit: float,
    records: Path | None,
) -> Iterator[list[LoopTimes]]:
    """The rows of each network as they come, those of `records` at once."""
    from ...bench.execution.times import keys_of, measure
    from ...bench.studies.kept import append_row

    began, known = time.monotonic(), _known(records)
    for number, case in enumerate(cases):
        keys = keys_of(case, device, torch_xla)
        if all(key in known for key in keys):
            yield [known[key] for key in keys]
            continue
        until = None if limit is None else began + limit * (number + 1) / len(cases)
        with Steps() as step:
            own = measure(case, rounds, device, until, torch_xla, row_limit, step)
        made = {row.key for row in own}
        left = [str(key[-1]) for key in keys if key not in made]
        if left:
            typer.echo(f"{case.name}: no time was left for {', '.join(left)}", err=True)
        if records is not None:
            for row in own:
                append_row(records, row)
        yield own


def _known(records: Path | None) -> dict[tuple[object, ...], LoopTimes]:
    """The rows of a file by their keys, of two with one key the later."""
    from ...bench.execution.times import LoopTimes
    from ...bench.studies.kept import read_rows

    if records is None:
        return {}
    found = read_rows(records, LoopTimes)
    records.touch()  # fails now, not after the first network
    return {row.key: row for row in found}


def _cells(row: LoopTimes) -> tuple[object, ...]:
    return (
        row.network,
        row.loop,
        row.stages,
        round(row.us, 1),
        round(row.samples_per_s, 1),
        round(row.against_eager, 3),
        _rounded(row.against_jax, 3),
        _rounded(row.against_batches, 3),
        round(row.least_cpu_us, 1),
        round(row.cpu_against_eager, 3),
        _rounded(row.cpu_against_jax, 3),
        _rounded(row.cpu_against_none, 3),
        round(row.compile_s, 1),
        _megabytes(row.state_bytes),
        _megabytes(row.temporary_bytes),
        round(row.peak_bytes / 1e6),
        row.compiled,
        _megabytes(row.grown_bytes),
    )


def _megabytes(value: int | None) -> float | str:
    return _rounded(None if value is None else value / 1e6, 1)


def _rounded(value: float | None, digits: int) -> float | str:
    return "-" if value is None else round(value, digits)
