"""What `weft.simulate` and `weft.train` do with a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .compiler.plan.plan import Plan
from .compiler.recipe_file import make_recipe
from .runtime.data import Dataset, load_data
from .runtime.from_recipe import make_job
from .runtime.trainer import Progress, RunReport
from .runtime.trainer import train as run_job
from .sim import SimReport
from .sim import simulate as simulate_document


def simulate(plan: Plan, samples: int = 1000, level: str = "event") -> SimReport:
    """Run `samples` training samples of a plan in time, at level 'analytic' or 'event'."""
    return simulate_document(plan.document, samples, level)


def train(
    plan: Plan,
    data: str | Dataset,
    *,
    executor: str = "jax",
    epochs: int | None = None,
    mode: str | None = None,
    settings: Iterable[str] = (),
    on_progress: Callable[[Progress], None] | None = None,
) -> RunReport:
    """Train a plan by the recipe it carries, one sample at a time.

    `data` is a Dataset, 'digits' or a path (see runtime/data.py). `epochs` and `mode` ('pipelined'
    or 'sequential', plain SGD) default to the recipe's; `settings` are `key=value` overrides of it.
    Raises UserError for data or settings that do not fit, and when training diverges.
    """
    chosen = [*settings]
    chosen += [] if epochs is None else [f"epochs={epochs}"]
    chosen += [] if mode is None else [f"pipeline.mode={mode}"]
    recipe = make_recipe(_recipe_of(plan), chosen, where="the plan's recipe")
    dataset = load_data(data) if isinstance(data, str) else data
    updates = recipe.epochs * len(dataset.x_train)
    return run_job(
        make_job(plan, recipe, updates, recipe.pipeline.mode),
        dataset,
        executor=executor,
        mode=recipe.pipeline.mode,
        epochs=recipe.epochs,
        seed=recipe.seed,
        on_progress=on_progress,
    )


def _recipe_of(plan: Plan) -> dict[str, object]:
    """The recipe the plan was compiled from; a model compiled in Python has the defaults."""
    if plan.document.recipe:
        return dict(plan.document.recipe)
    shape = list(plan.document.inputs[0].shape[1:])
    prediction = plan.document.predictions[0]
    program = plan.programs[plan.document.stages[prediction.stage].program]
    classes = program.outputs[prediction.output].shape[-1]
    return {"model": plan.document.model, "input": {"shape": shape, "classes": classes}}
