"""`weft bench`: measurements of weft itself; the table of all benchmarks."""

from __future__ import annotations

from collections.abc import Callable

import typer

from .compile import compile_models
from .compressed import compressed
from .coverage import coverage
from .equality import equality
from .headline import headline
from .levers import levers
from .mappings import mappings
from .mutation import mutation
from .norm import norm
from .operators import operators
from .place import place
from .remap import remap
from .run import run
from .sim import sim
from .studies.adapters import adapters
from .studies.distillation import distillation
from .studies.experts import experts
from .studies.finetuning import finetuning
from .studies.growth import growth
from .studies.hebbian import hebbian
from .studies.lever_losses import lever_losses
from .studies.pacing import pacing
from .studies.perceptron import perceptron
from .studies.sparsity import sparsity
from .studies.training import training

BENCHMARKS: dict[str, Callable[..., None]] = {
    "run": run,
    "training": training,
    "sparsity": sparsity,
    "pacing": pacing,
    "perceptron": perceptron,
    "hebbian": hebbian,
    "distillation": distillation,
    "remap": remap,
    "growth": growth,
    "compressed": compressed,
    "levers": levers,
    "lever-losses": lever_losses,
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
    "mappings": mappings,
    "place": place,
    "headline": headline,
}
"""By its name on the command line; the options are the parameters of its function."""

app = typer.Typer(help="Measure weft on this machine.", no_args_is_help=True)

for name, benchmark in BENCHMARKS.items():
    app.command(name=name)(benchmark)
