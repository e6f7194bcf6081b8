"""`weft simulate`: a plan in time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import print_json, print_table
from .failure import CHECK_FAILED
from .options import Json, PlanDirectory

if TYPE_CHECKING:
    from ..sim import SimReport


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(simulate)


def simulate(
    plan: PlanDirectory,
    samples: Annotated[int, typer.Option(help="Training samples to run.")] = 1000,
    level: Annotated[str, typer.Option(help="analytic (closed form) or event.")] = "event",
    trace: Annotated[
        Path | None, typer.Option(help="Write a Chrome/Perfetto trace of some samples.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a self-contained HTML page.")] = None,
    json: Json = False,
) -> None:
    """Simulate a plan: throughput, latency, utilisation, what bounds it. Exit 1 on deadlock."""
    from ..compiler.plan.store import load
    from ..sim import simulate as run

    loaded = load(plan)
    result = run(loaded.document, samples, level)
    if trace is not None:
        from ..sim.trace import write_trace

        write_trace(loaded.document, trace)
    if report is not None:
        from ..sim.html import write_report

        write_report(loaded.document, result, report)
    if json:
        print_json(result.to_dict())
    else:
        print_report(result)
    if result.deadlock:
        raise typer.Exit(CHECK_FAILED)


def print_report(report: SimReport) -> None:
    """The simulation's result as text: facts, then one row per stage."""
    from ..compiler.plan.text import facts

    typer.echo(f"{report.model} on {report.target}, {report.level} level")
    typer.echo(facts(simulated_facts(report)))
    if report.deadlock:
        waits = "\n".join(f"    {wait}" for wait in report.deadlock)
        typer.echo(f"  deadlock: each of these waits for the next\n{waits}")
    columns = ("stage", "cycles/sample", "utilisation", "bytes/PE", "bound by")
    rows = [
        (
            *(row.id, row.cycles_per_sample, f"{row.utilisation * 100:.1f} %"),
            *(row.memory_per_pe.total_bytes, row.bound_by),
        )
        for row in report.stages
    ]
    typer.echo("")
    print_table(columns, rows)


def simulated_facts(report: SimReport) -> list[tuple[str, str]]:
    """The headline numbers as (name, readable value)."""
    from ..compiler.plan.text import duration, percent, quantity

    fullest = max(row.memory_per_pe.total_bytes for row in report.stages)
    seconds = report.forward_latency_cycles / report.clock_hz
    return [
        (
            "throughput",
            f"{quantity(report.throughput_samples_per_s)} samples/s, one sample every"
            f" {report.initiation_interval_cycles:,.0f} cycles"
            + ("" if report.steady else " (run too short for a steady state)"),
        ),
        ("latency", f"{duration(seconds)} to the loss of the first sample"),
        ("run", f"{report.samples:,} samples in {duration(report.seconds)} of machine time"),
        ("fill, drain", f"{report.fill_cycles:,} and {report.drain_cycles:,} cycles"),
        ("utilisation", f"{percent(report.utilisation)} of the PEs used"),
        ("bound by", report.bound_by),
        ("memory", f"{fullest:,} bytes on the fullest PE"),
    ]
