"""`weft bench run`: samples per second, against the loops a user would write instead."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ..options import Json
from ..terminal.console import print_json, print_table

HEADER = ("network", "loop", "stages", "us/sample", "samples/s", "x eager", "x jax")
MORE = ("cpu us", "cpu x eager", "cpu x jax", "compile s", "state MB")
MEMORY = ("temporary MB", "peak MB")
_SAMPLES = {"mlp": 512, "gpt": 64, "resnet20": 64}

Networks = Annotated[list[str], typer.Option("--network", "-n", help="mlp, gpt or resnet20.")]
Samples = Annotated[int | None, typer.Option(min=1, help="Samples of a round.")]
Updates = Annotated[
    str,
    typer.Option(help="plain, or compensated: decay, clipping, and sc+lwp in the pipeline."),
]


def run(
    network: Networks = list(_SAMPLES),  # noqa: B006 - typer copies it
    rounds: Annotated[int, typer.Option(min=1, help="Rounds in which the loops alternate.")] = 9,
    samples: Samples = None,
    update: Updates = "plain",
    json: Json = False,
) -> None:
    """Time training at batch size 1: eager torch, JAX by hand, weft without and with a pipeline.

    Ratios are of time per sample: 'x eager' 0.25 is four times as fast as eager torch.
    """
    from ...bench.execution import make_case, measure
    from ...bench.machine import machine_line

    cases = [make_case(name, samples or _SAMPLES.get(name, 64), update) for name in network]
    if not json:
        typer.echo(f"{machine_line()}; float32, SGD with momentum, {update}, {rounds} rounds\n")
    found = [row for case in cases for row in measure(case, rounds)]
    if json:
        print_json([asdict(row) for row in found])
        return
    print_table(
        (*HEADER, *MORE, *MEMORY),
        [
            (
                row.network,
                row.loop,
                row.stages,
                round(row.us, 1),
                round(row.samples_per_s, 1),
                round(row.against_eager, 3),
                round(row.against_jax, 3),
                round(row.cpu_us, 1),
                round(row.cpu_against_eager, 3),
                round(row.cpu_against_jax, 3),
                round(row.compile_s, 1),
                round(row.state_bytes / 1e6, 1),
                round(row.temporary_bytes / 1e6, 1),
                round(row.peak_bytes / 1e6),
            )
            for row in found
        ],
    )
