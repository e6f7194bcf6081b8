"""`weft.predict` and `weft.train`, with their arguments as records of runtime/training/run.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from .backend.optim import Settings
from .compiler.plan.plan import Plan
from .compiler.recipes.carried import carried_recipe
from .compiler.recipes.read import make_recipe
from .runtime.tick.make_job import make_job
from .runtime.training.keeping import Keeping
from .runtime.training.predict import predict as run_forward
from .runtime.training.recipe_data import input_constants
from .runtime.training.report import Progress, RunReport
from .runtime.training.reporting import Reporting
from .runtime.training.run import Run

PathLike = str | Path


def predict(
    plan: Plan,
    inputs: np.ndarray | Sequence[np.ndarray],
    *,
    executor: str = "jax",
    device: str | None = None,
) -> tuple[np.ndarray, ...]:
    """Each of the model's predictions, one row per sample, at the plan's weights and state.

    `inputs` has an array (N, ...) for each input that predictions depend on: labels are not needed.
    `executor` and `device` are as for `train`. Raises UserError for inputs that do not fit and for
    a plan without weights, DeviceError for a device that is missing.
    """
    arrays = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
    recipe = make_recipe(carried_recipe(plan), where="the plan's recipe")
    constants = input_constants(recipe)
    if constants is not None and arrays:
        constants.check(arrays[0].shape[1:])
        arrays[0] = constants(arrays[0])
    return run_forward(make_job(plan, recipe, 1, "sequential"), arrays, executor, device)


def train(
    plan: Plan,
    data: object,
    *,
    executor: str | None = None,
    device: str | None = None,
    devices: int | None = None,
    epochs: int | None = None,
    mode: str | None = None,
    settings: Iterable[str] = (),
    on_start: Callable[[Settings], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint: PathLike | None = None,
    every: int | None = None,
    keep: int | None = None,
    resume: PathLike | None = None,
    log: PathLike | None = None,
    tensorboard: bool = False,
) -> RunReport:
    """Train a plan by the recipe it carries, one sample at a time.

    `data` is 'digits', a path (see runtime/data/load.py), a tuple of arrays or tensors (X, Y) or
    (X, Y, X_test, Y_test), a torch Dataset or DataLoader, or a dict with train, validation and test
    (see runtime/data/given.py). `executor` is 'jax',
    'torch-xla' or 'reference', `device` is 'cpu', 'cuda' or 'tpu' (default: what the executor
    finds). With `devices` each of so many runs a group of stages, balanced by the plan's costs;
    the default is one, or all devices of a run of several processes (where
    `jax.distributed.initialize` was called), of which the first writes.
    `epochs` and `mode` ('pipelined' or 'sequential', plain SGD) default to the recipe's;
    `settings` are `key=value` overrides of it. `on_start` is told what the optimizer comes to,
    `on_progress` where the run is.

    With a directory `checkpoint`, everything including what is in flight is written there every
    `every` samples (default: each epoch) and at Ctrl-C, and the last `keep` (3) are kept. `resume`
    is such a directory, or one checkpoint in it: the run goes on from there by the recipe and the
    executor it began with, to the bit as if it had never stopped, and writes to the same directory
    unless `checkpoint` names another. metrics.jsonl goes to the directory `log`, or beside the
    checkpoints; TensorBoard scalars too, if asked for.

    A recipe with `phases` trains them one after the other, each drained at its end; phase n has its
    checkpoints and metrics in the directory phase-n there. `resume` is then the directory of all.

    The report's `new_maps` names the stages whose masks outgrew the map of the plan; with
    `training.new_map` 'stop' the run ends there.

    Raises UserError for data or settings that do not fit and when training diverges, DeviceError
    for a device that is missing, full or gone, and CheckpointFileError for a damaged checkpoint.
    """
    chosen = (
        *settings,
        *([] if epochs is None else [f"epochs={epochs}"]),
        *([] if mode is None else [f"pipeline.mode={mode}"]),
    )
    keeping = Keeping(_path(checkpoint), every, keep, _path(resume))
    reporting = Reporting(on_start, on_progress, _path(log), tensorboard)
    return Run(plan, data, chosen, executor, device, devices, keeping, reporting).train()


def _path(given: PathLike | None) -> Path | None:
    return None if given is None else Path(given)
