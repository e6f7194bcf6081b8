"""`weft bench`: measurements of weft itself; the table of all benchmarks."""

from __future__ import annotations

from collections.abc import Callable

import typer

from .adapters.planned import finetuning
from .adapters.trained import adapters
from .compile import compile_models
from .compressed import compressed
from .coverage import coverage
from .distillation import distillation
from .equality import equality
from .experts import experts
from .headline import headline
from .hebbian import hebbian
from .levers import levers
from .mutation import mutation
from .norm import norm
from .operators import operators
from .pacing import pacing
from .place import place
from .remap import remap
from .run import run
from .sim import sim
from .sparsity import sparsity
from .training import training

BENCHMARKS: dict[str, Callable[..., None]] = {
    "run": run,
    "training": training,
    "sparsity": sparsity,
    "pacing": pacing,
    "hebbian": hebbian,
    "distillation": distillation,
    "remap": remap,
    "compressed": compressed,
    "levers": levers,
    "experts": experts,
    "adapters": adapters,
    "finetuning": finetuning,
    "norm": norm,
    "coverage": coverage,
    "mutation": mutation,
    "operators": operators,
    "equality": equality,
    "compile": compile_models,
    "sim": sim,
    "place": place,
    "headline": headline,
}
"""By its name on the command line; the options are the parameters of its function."""

app = typer.Typer(help="Measure weft on this machine.", no_args_is_help=True)

for name, benchmark in BENCHMARKS.items():
    app.command(name=name)(benchmark)
