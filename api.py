"""The functions that a user calls first; what they are given becomes records and passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from .backend.optim import Settings
from .compiler.capture.capture import capture
from .compiler.capture.sample import Loss, Sample
from .compiler.pipeline import GraphCompiler, Options, compile_model, with_masks_of
from .compiler.plan.check import Violation
from .compiler.plan.check import check as check_document
from .compiler.plan.document import PlanDocument
from .compiler.plan.files import as_document
from .compiler.plan.plan import Plan
from .compiler.plan.program import StageProgram
from .compiler.plan.store import as_plan
from .compiler.plan.text.diff import diff as documents_diff
from .compiler.plan.text.diff_text import Changes
from .compiler.recipes.carried import carried_recipe
from .compiler.recipes.given import as_loss, as_module, as_options, as_sample
from .compiler.recipes.read import make_recipe
from .compiler.targets import Roofline, Target, load_machine
from .runtime.tick.make_job import make_job
from .runtime.training.keeping import Keeping
from .runtime.training.predict import as_rows, warn_of_mode
from .runtime.training.predict import predict as run_forward
from .runtime.training.recipe_data import input_constants
from .runtime.training.report import Progress, RunReport
from .runtime.training.reporting import Reporting
from .runtime.training.run import Run
from .runtime.training.training_line import TrainingLine
from .study.compare import compare as rows_of
from .study.comparison import Comparison

PathLike = str | Path


def compile(
    model: nn.Module,
    example_inputs: Sample | Tensor,
    loss: Loss | str | None = None,
    target: str | Target = "wse2",
    options: Options | Mapping[str, Any] | None = None,
) -> Plan:
    """Lower a torch model to a dataflow plan for `target`, a name of `weft.known_targets()`.

    `example_inputs` is one sample, whose tensors have batch dimension 1: a tuple of the model's
    inputs (1, ...) and, if there is a loss, its target last; or a mapping by name with 'target'.
    Their values do not matter but for the check that the plan computes what the model does.
    `loss` is a function of prediction and target that returns a scalar, or one of
    'cross_entropy', 'binary_cross_entropy', 'mse', 'l1'; without it the model returns its own.
    `options` is a `weft.Options`, or a mapping of its fields.

    >>> sample = torch.zeros(1, 3, 32, 32), torch.zeros(1, dtype=torch.int64)
    >>> plan = weft.compile(model, sample, "cross_entropy", target="wse2")
    >>> print(plan.summary())

    Cycles of the plan are of the target's clock and for one training sample; memory is in bytes
    per PE. Raises UnsupportedError for a model that cannot be captured or an operator without a
    cost, WitnessError if the plan would compute something else than the model, InfeasibleError for
    a plan that does not fit, and UserError for other mistakes in the input.
    """
    sample, function = as_sample(example_inputs, loss), as_loss(loss)
    return compile_model(as_module(model), sample, function, target, as_options(options))


def check(
    plan: Plan | PlanDocument | PathLike,
    target: Target | None = None,
    programs: Mapping[str, StageProgram] | None = None,
) -> tuple[Violation, ...]:
    """All rules that a plan, or that of a directory, breaks; none of a sound one.

    >>> assert not weft.check(plan)

    Of a plan its programs are checked with it; of a document alone those that are given. With
    `target` its constants are compared with the plan's.
    """
    if isinstance(plan, PlanDocument):
        return check_document(plan, target, programs)
    whole = as_plan(plan)
    return check_document(whole.document, target, programs or whole.programs)


def diff(a: Plan | PlanDocument | PathLike, b: Plan | PlanDocument | PathLike) -> Changes:
    """All differences from `a` to `b`, in the order of the plan's fields; weights are left out.

    >>> print(weft.diff(before, after))
    """
    return Changes(documents_diff(as_document(a), as_document(b)))


def compare(
    model: nn.Module,
    example_inputs: Sample | Tensor,
    loss: Loss | str | None = None,
    targets: Sequence[str | Target | Roofline] = ("wse2", "wse3"),
    options: Options | Mapping[str, Any] | None = None,
    *,
    samples: int = 1000,
    batch: int = 1,
) -> Comparison:
    """One row per target, in order: figures of the simulated plan, or what a roofline allows.

    >>> print(weft.compare(model, (x, y), "cross_entropy", targets=("wse2", "wse3", "h200")))

    Arguments are as of `compile`; `samples` are simulated, `batch` is that of rooflines, since
    meshes train one sample at a time. A model that does not fit a target has a row that says why.

    Raises UserError for an unknown target and what `compile` raises for the model itself.
    """
    machines = [load_machine(each) if isinstance(each, str) else each for each in targets]
    sample, function = as_sample(example_inputs, loss), as_loss(loss)
    module, given = as_module(model), as_options(options) or Options()
    graph = capture(module, sample, function)
    compiler = GraphCompiler(graph, with_masks_of(module, graph, given))
    return Comparison(rows_of(compiler, machines, samples, batch))


def predict(
    plan: Plan | PathLike,
    inputs: np.ndarray | Tensor | Sequence[np.ndarray | Tensor],
    *,
    executor: str = "jax",
    device: str | None = None,
) -> tuple[np.ndarray, ...]:
    """Each of the model's predictions, one row per sample, at the plan's weights and state.

    >>> (scores,) = weft.predict(run.trained_plan(plan), images)

    `inputs` has an array or a tensor (N, ...) for each input that predictions depend on, a list of
    them where there are several: labels are not needed. `executor` and `device` are as for `train`.
    Predictions are those of `model.eval()`; a warning says where the model does something there
    that its plan does not.

    Raises UserError for inputs that do not fit and for a plan without weights, DeviceError for a
    device that is missing.
    """
    arrays, plan = as_rows(inputs), as_plan(plan)
    warn_of_mode(plan.document)
    recipe = make_recipe(carried_recipe(plan), where="the plan's recipe")
    constants = input_constants(recipe)
    if constants is not None and arrays:
        constants.check(arrays[0].shape[1:])
        arrays[0] = constants(arrays[0])
    return run_forward(make_job(plan, recipe, 1, "sequential"), arrays, executor, device)


def train(
    plan: Plan | PathLike,
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
    progress: bool = False,
) -> RunReport:
    """Train a plan, or that of a directory, by the recipe it carries, one sample at a time.

    >>> run = weft.train(plan, (images, labels), epochs=3, settings=["optimizer.lr=1e-3"])
    >>> print(run.summary())

    `data` is a tuple of arrays or tensors (X, Y) or (X, Y, X_test, Y_test), whose first dimension
    counts samples; a torch Dataset or DataLoader; a dict with train, validation and test, each
    (X, Y); a `weft.Dataset`; 'digits'; or the path of a .npz file or of another kind of
    docs/training.md. `executor` is 'jax', 'torch-xla' or 'reference', `device` is 'cpu', 'cuda' or
    'tpu' (default: what the executor finds). With `devices` each of so many runs a group of
    stages, balanced by the plan's costs; the default is one, or all devices of a run of several
    processes (where `jax.distributed.initialize` was called), of which the first writes.
    `epochs` and `mode` ('pipelined' or 'sequential', plain SGD) default to the recipe's;
    `settings` are `key=value` overrides of it. `on_start` is told what the optimizer comes to,
    `on_progress` where the run is; with `progress` both are shown in a line on standard error.

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
    line = TrainingLine("train") if progress else None
    told = (on_start, on_progress) if line is None else line.beside(on_start, on_progress)
    reporting = Reporting(*told, _path(log), tensorboard)
    report = Run(as_plan(plan), data, chosen, executor, device, devices, keeping, reporting).train()
    if line is not None:
        line.close()
    return report


def _path(given: PathLike | None) -> Path | None:
    return None if given is None else Path(given)
