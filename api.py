"""What `weft.predict` and `weft.train` do with a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from .backend.errors import UserError
from .backend.optim import Settings
from .compiler.plan.plan import Plan
from .compiler.plan.program import Stages
from .compiler.recipes.carried import carried_recipe
from .compiler.recipes.read import make_recipe
from .compiler.recipes.recipe import Recipe
from .compiler.remap.mask_room import MapRooms
from .runtime.checkpoint import (
    Checkpoint,
    Header,
    Store,
    found_in,
    locked,
    newest,
    plan_fingerprint,
)
from .runtime.data import Augmented, Constants, Normalized, Splits, Wanted, as_splits
from .runtime.jax.shards.balance import split_plan
from .runtime.jax.shards.processes import is_first, is_joined
from .runtime.tick.make_job import make_job
from .runtime.tick.shard import Shards
from .runtime.training.device_failure import device_failures
from .runtime.training.disk_failure import disk_failures
from .runtime.training.logs import Log, metrics_file
from .runtime.training.logs import tensorboard as tensorboard_log
from .runtime.training.map_watch import MapWatch
from .runtime.training.phases import joined, phase_plan
from .runtime.training.predict import predict as run_forward
from .runtime.training.report import Progress, RunReport
from .runtime.training.scores import Scoring
from .runtime.training.trainer import train as run_job

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
    constants = _constants(recipe)
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
    chosen = [*settings]
    chosen += [] if epochs is None else [f"epochs={epochs}"]
    chosen += [] if mode is None else [f"pipeline.mode={mode}"]
    if resume is None or (Path(resume) / phase_name(0)).is_dir():
        base = checkpoint if resume is None else resume
        whole = make_recipe(carried_recipe(plan), chosen, where="the plan's recipe")
        if whole.phases:
            return _train_phases(
                plan,
                whole,
                data,
                None if base is None else Path(base),
                None if log is None else Path(log),
                resumes=resume is not None,
                run=partial(
                    train,
                    executor=executor,
                    device=device,
                    devices=devices,
                    on_start=on_start,
                    on_progress=on_progress,
                    every=every,
                    keep=keep,
                    tensorboard=tensorboard,
                ),
            )
    start = None if resume is None else newest(Path(resume))
    origin = carried_recipe(plan) if start is None else start.header.recipe
    recipe = make_recipe(origin, chosen, where="the plan's recipe" if start is None else "resume")
    splits = _splits(plan, recipe, data)
    header = _header(plan, recipe, splits, executor, every, keep, start)
    if start is not None:
        _check_same_run(start, header)
    directory = _directory(checkpoint, start)
    written = (directory, None if log is None else Path(log)) if is_first() else ()
    job = make_job(plan, recipe, recipe.epochs * len(splits.train), recipe.pipeline.mode)
    rooms = MapRooms(plan)
    job = replace(job, mask_rules=rooms.given_to(job.mask_rules))
    scoring = Scoring.of(job.stages, recipe.loss, recipe.training.scores)
    begun = None if start is None else start.path
    with (
        locked(*written),
        disk_failures(directory, begun),
        device_failures(header.executor, directory, begun),
    ):
        store = None if directory is None else _store(directory, header, plan, start)
        return run_job(
            job,
            splits,
            executor=header.executor,
            mode=recipe.pipeline.mode,
            device=device,
            shards=_shards(plan, job.stages, devices),
            epochs=recipe.epochs,
            seed=recipe.seed,
            evaluate_every=recipe.training.evaluate_every,
            max_nonfinite=recipe.training.max_nonfinite,
            workers=recipe.training.workers,
            scoring=scoring,
            on_start=on_start if is_first() else None,
            on_progress=on_progress if is_first() else None,
            logs=_logs(directory if log is None else Path(log), tensorboard, start),
            store=store,
            start=start,
            map_watch=MapWatch(rooms, stops=recipe.training.new_map == "stop"),
        )


def _splits(plan: Plan, recipe: Recipe, data: object) -> Splits:
    """The data as the recipe has them fed: held out, normalized, and changed at random."""
    names = tuple(record.name for record in plan.document.inputs)
    constants = _constants(recipe)
    wanted = Wanted(names, plan.document.inputs[0].shape[1:], recipe.seed, raw=bool(constants))
    found = as_splits(data, wanted)
    if recipe.training.validation:
        found = found.with_validation(recipe.training.validation)
    if constants is not None:
        found = found.each(lambda samples: Normalized(samples, constants))
    changes = recipe.augmentation
    if changes.pad_crop or changes.flip:
        train = Augmented(found.train, recipe.seed, changes.pad_crop, changes.flip)
        found = replace(found, train=train)
    return found


def _constants(recipe: Recipe) -> Constants | None:
    given = recipe.input
    return Constants(given.mean, given.deviation) if given.mean else None


def _shards(plan: Plan, stages: Stages, devices: int | None) -> Shards | None:
    """The stages of each of several devices, or None for one device."""
    if devices is None and is_joined():
        import jax

        devices = min(jax.device_count(), len(plan.document.stages))
    if devices is None or devices == 1:
        return None
    return split_plan(plan.document.stages, stages, devices)


def phase_name(number: int) -> str:
    """The directory of phase `number` (from 0)."""
    return f"phase-{number + 1}"


def _train_phases(
    plan: Plan,
    recipe: Recipe,
    data: object,
    checkpoint: Path | None,
    log: Path | None,
    *,
    resumes: bool,
    run: Callable[..., RunReport],
) -> RunReport:
    reports: list[RunReport] = []
    for number in range(len(recipe.phases)):
        current = phase_plan(plan, recipe, number, reports[-1] if reports else None)
        directory = None if checkpoint is None else checkpoint / phase_name(number)
        goes_on = resumes and directory is not None and bool(found_in(directory))
        own_log = None if log is None else log / phase_name(number)
        where = {"resume": directory} if goes_on else {"checkpoint": directory}
        reports.append(run(current, data, log=own_log, **where))
    return joined(reports)


def _header(
    plan: Plan,
    recipe: Recipe,
    data: Splits,
    executor: str | None,
    every: int | None,
    keep: int | None,
    start: Checkpoint | None,
) -> Header:
    """What all checkpoints of this run say; a resumed run goes on as it was begun."""
    before = None if start is None else start.header
    return Header(
        weft_version=plan.document.weft_version,
        plan=plan_fingerprint(plan),
        executor=executor or (before.executor if before else "jax"),
        mode=recipe.pipeline.mode,
        recipe=recipe.model_dump(mode="json"),
        data=data.name,
        data_digest=data.train.digest,
        epoch_samples=len(data.train),
        seed=recipe.seed,
        samples=0,
        scores=(),
        every=_positive("every", every) or (before.every if before else len(data.train)),
        keep=_positive("keep", keep) or (before.keep if before else 3),
    )


def _positive(name: str, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise UserError(
            name, expected="a number of at least 1", got=str(value), change=f"correct {name}"
        )
    return value


def _check_same_run(start: Checkpoint, header: Header) -> None:
    """Raises UserError unless the checkpoint is of this plan, these data and this executor."""
    kinds = {
        "plan": "the plan it was made of (same stages, same masks)",
        "data_digest": f"the training data it was made with, '{start.header.data}'",
        "executor": f"executor {start.header.executor}: another one cannot take over in flight",
        "mode": f"mode {start.header.mode}",
        "seed": f"seed {start.header.seed}",
    }
    for name, expected in kinds.items():
        if getattr(start.header, name) != getattr(header, name):
            raise UserError(
                f"resume from {start.path}",
                expected=expected,
                got=f"{name.partition('_')[0]} {str(getattr(header, name))[:16]}",
                change="resume with what the run began with; to go on with something else, take"
                " the weights: weft checkpoint export",
            )


def _directory(checkpoint: PathLike | None, start: Checkpoint | None) -> Path | None:
    if checkpoint is not None:
        return Path(checkpoint)
    return None if start is None else start.path.parent


def _store(directory: Path, header: Header, plan: Plan, start: Checkpoint | None) -> Store:
    store = Store(directory, header, writes=is_first())
    store.prepare(plan, is_same_run=start is not None and start.path.parent == directory)
    return store


def _logs(directory: Path | None, tensorboard: bool, start: Checkpoint | None) -> list[Log]:
    if directory is None:
        if tensorboard:
            raise UserError(
                "TensorBoard scalars",
                expected="a directory to write them to",
                got="neither log nor checkpoint",
                change="give one of them",
            )
        return []
    if not is_first():
        return []
    samples = 0 if start is None else start.header.samples
    logs = [metrics_file(directory, samples)]
    return logs + ([tensorboard_log(directory, samples)] if tensorboard else [])
