"""Points that Optuna asks for, each from what became of those before."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ...backend.errors import UserError
from ...backend.packages import package
from ...compiler.recipes.recipe import Recipe
from .axes import Axis
from .front import Objective, assumed_of
from .log import SweepLog
from .points import Overrides
from .run import sweep, tasks_of
from .workers import PointTask, Workers


def search(
    recipe: Recipe,
    axes: Sequence[Axis],
    objectives: Sequence[Objective],
    log: SweepLog,
    workers: Workers,
    count: int,
    at_once: int = 1,
    seed: int = 0,
    on_point: Callable[[int, int], None] = lambda done, count: None,
) -> list[dict[str, Any]]:
    """The lines of `count` points, `at_once` of them asked for together.

    Optuna's tree-structured Parzen estimator is told of each what its objectives are; of a point
    that does not fit, that it failed. The same seed asks for the same points, so a search that was
    stopped goes on where it was: what is in the log is not evaluated again.

    Raises UserError where Optuna is missing, for overrides that the recipe does not take, and where
    an objective rests on assumed constants alone.
    """
    optuna = _optuna()
    study = optuna.create_study(
        directions=["maximize" if one.is_maximised else "minimize" for one in objectives],
        sampler=optuna.samplers.TPESampler(seed=seed),
    )
    lines: dict[str, dict[str, Any]] = {}
    for begun in range(0, count, at_once):
        trials = [study.ask() for _ in range(min(at_once, count - begun))]
        points = [_asked(trial, axes) for trial in trials]
        tasks = [tasks_of(recipe, [point])[0] for point in points]
        distinct = {task.hash: task for task in tasks}
        lines |= dict(zip(distinct, sweep(list(distinct.values()), log, workers), strict=True))
        for trial, task in zip(trials, tasks, strict=True):
            line = lines[task.hash]
            _check_founded(task, line, objectives)
            if line["fits"]:
                study.tell(trial, [line[one.name] for one in objectives])
            else:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
        on_point(begun + len(trials), count)
    return list(lines.values())


def _check_founded(task: PointTask, line: dict[str, Any], objectives: Sequence[Objective]) -> None:
    """Nothing is ranked by figures that nobody measured on constants that nobody published."""
    for name in assumed_of(line, objectives):
        raise UserError(
            f"search, target {task.recipe.target.name}, objective {name}",
            expected="a figure with a measurement or a published constant behind it",
            got=f"{line[name]:.6g}, from assumed constants alone",
            change="search on a machine that was measured, e.g. --set target.name=wse2, or for"
            " what does not depend on cycles, e.g. --objective pes:min",
        )


def _asked(trial: Any, axes: Sequence[Axis]) -> Overrides:
    """A value for every axis: of an interval any, of listed numbers or words one of them."""
    point: dict[str, Any] = {}
    for axis in axes:
        if axis.interval is None:
            place = trial.suggest_categorical(axis.key, range(len(axis.values)))
            point[axis.key] = axis.values[place]
        else:
            low, high = axis.interval
            point[axis.key] = trial.suggest_float(axis.key, low, high, log=axis.is_log)
    return point


def _optuna() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optuna = package("optuna", "--search optuna", "weft[optuna]")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
