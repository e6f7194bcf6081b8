"""`weft bench`: measurements of weft itself; one file per verb."""

from __future__ import annotations

import typer

from . import (
    bench_compile,
    bench_compressed,
    bench_coverage,
    bench_equality,
    bench_norm,
    bench_remap,
    bench_run,
    bench_sim,
    bench_sparsity,
    bench_training,
)

app = typer.Typer(help="Measure weft on this machine.", no_args_is_help=True)

for verb in (
    bench_run,
    bench_training,
    bench_sparsity,
    bench_remap,
    bench_compressed,
    bench_norm,
    bench_coverage,
    bench_equality,
    bench_compile,
    bench_sim,
):
    verb.register(app)
