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
    from . import errors, models, nn, optim, sparsity
    from .api import check, compare, compile, diff, predict, train
    from .compiler.pipeline import Options
    from .compiler.plan.plan import Plan
    from .compiler.plan.store import load
    from .compiler.recipes.build import compile_recipe
    from .compiler.recipes.read import load_recipe
    from .compiler.recipes.recipe import Recipe
    from .compiler.targets import known_targets, load_target
    from .compiler.targets import known_targets as targets
    from .runtime.data import Dataset
    from .runtime.torch_compile.plans import plan_of, plans_of
    from .runtime.weights.load import load_weights
    from .sim import simulate
    from .study.explain.explanation import explain
    from .study.validate import validate

__version__ = VERSION
_PLACES = {
    "Dataset": ("runtime.data", "Dataset"),
    "Options": ("compiler.pipeline", "Options"),
    "Recipe": ("compiler.recipes.recipe", "Recipe"),
    "check": ("api", "check"),
    "compile_recipe": ("compiler.recipes.build", "compile_recipe"),
    "diff": ("api", "diff"),
    "known_targets": ("compiler.targets", "known_targets"),
    "explain": ("study.explain.explanation", "explain"),
    "targets": ("compiler.targets", "known_targets"),
    "load_recipe": ("compiler.recipes.read", "load_recipe"),
    "load_target": ("compiler.targets", "load_target"),
    "compare": ("api", "compare"),
    "compile": ("api", "compile"),
    "Plan": ("compiler.plan.plan", "Plan"),
    "load": ("compiler.plan.store", "load"),
    "plan_of": ("runtime.torch_compile.plans", "plan_of"),
    "plans_of": ("runtime.torch_compile.plans", "plans_of"),
    "load_weights": ("runtime.weights.load", "load_weights"),
    "predict": ("api", "predict"),
    "simulate": ("sim", "simulate"),
    "train": ("api", "train"),
    "validate": ("study.validate", "validate"),
}
_FACES = ("nn", "sparsity", "optim", "models", "errors")

__all__ = [
    "Dataset",
    "Options",
    "Plan",
    "Recipe",
    "__version__",
    "check",
    "compare",
    "compile",
    "compile_recipe",
    "diff",
    "errors",
    "explain",
    "known_targets",
    "load",
    "load_recipe",
    "load_target",
    "load_weights",
    "models",
    "nn",
    "optim",
    "plan_of",
    "plans_of",
    "predict",
    "simulate",
    "sparsity",
    "targets",
    "train",
    "validate",
]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import weft` and `weft --help` do not wait for torch."""
    if name in _FACES:
        return import_module(f".{name}", __name__)
    if name not in _PLACES:
        raise AttributeError(f"module 'weft' has no attribute '{name}'")
    module, attribute = _PLACES[name]
    return getattr(import_module(f".{module}", __name__), attribute)


def __dir__() -> list[str]:
    """The public names, as tab completion shows them."""
    return sorted(__all__)
