"""weft: compile torch models to dataflow plans, simulate them, train them through XLA.

plan = weft.compile(model, example_inputs, loss=..., target="wse2")
report = weft.simulate(plan, samples=1000)
run = weft.train(plan, "digits", executor="jax", epochs=3)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .backend.version import VERSION

if TYPE_CHECKING:
    from . import models, nn, optim, sparsity
    from .api import predict, train
    from .compiler.pipeline import Options
    from .compiler.pipeline import compile_model as compile
    from .compiler.plan.plan import Plan
    from .compiler.plan.store import load
    from .runtime.torch_compile.plans import plan_of, plans_of
    from .runtime.weights.load import load_weights
    from .sim import simulate

__version__ = VERSION
_PLACES = {
    "Options": ("compiler.pipeline", "Options"),
    "compile": ("compiler.pipeline", "compile_model"),
    "Plan": ("compiler.plan.plan", "Plan"),
    "load": ("compiler.plan.store", "load"),
    "plan_of": ("runtime.torch_compile.plans", "plan_of"),
    "plans_of": ("runtime.torch_compile.plans", "plans_of"),
    "load_weights": ("runtime.weights.load", "load_weights"),
    "predict": ("api", "predict"),
    "simulate": ("sim", "simulate"),
    "train": ("api", "train"),
}
_FACES = ("nn", "sparsity", "optim", "models")

__all__ = [
    "Options",
    "Plan",
    "__version__",
    "compile",
    "load",
    "load_weights",
    "models",
    "nn",
    "optim",
    "plan_of",
    "plans_of",
    "predict",
    "simulate",
    "sparsity",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import weft` and `weft --help` do not wait for torch."""
    if name in _FACES:
        return import_module(f".{name}", __name__)
    if name not in _PLACES:
        raise AttributeError(f"module 'weft' has no attribute '{name}'")
    module, attribute = _PLACES[name]
    return getattr(import_module(f".{module}", __name__), attribute)
