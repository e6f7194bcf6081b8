"""The points of a sweep, evaluated by processes of this machine, each point once."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ...backend.errors import UserError
from ...compiler.recipes.read import make_recipe
from ...compiler.recipes.recipe import Recipe, TargetRecipe
from ...compiler.targets.load import load_target
from .evaluate import Evaluator, model_key
from .log import WHOLE, Log, Shard, recipe_hash
from .points import Overrides

_AT_ONCE = 8
"""Points that a process is given together: what a crash makes it do again."""


@dataclass(frozen=True)
class Point:
    """One setting and what became of it. `recipe` is the hash of its whole recipe."""

    overrides: Overrides
    recipe: str
    outcome: dict[str, Any]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """One line of the log."""
        return {
            "recipe": self.recipe,
            "overrides": dict(self.overrides),
            **self.outcome,
            "seconds": round(self.seconds, 6),
        }


@dataclass(frozen=True)
class Task:
    """A point to evaluate."""

    overrides: Overrides
    hash: str
    recipe: Recipe


def tasks_of(recipe: Recipe, points: Iterable[Overrides], shard: Shard = WHOLE) -> list[Task]:
    """The distinct points of a shard, those of one model together.

    Raises UserError for the first override that the recipe does not take, before any work is done.
    """
    data = recipe.model_dump(mode="json", exclude_unset=True)
    found: dict[str, Task] = {}
    for point in points:
        texts = [override(key, value) for key, value in point.items()]
        made = make_recipe(data, texts, where="sweep")
        own = recipe_hash(made)
        found.setdefault(own, Task(point, own, made))
    _check_targets(task.recipe.target for task in found.values())
    mine = list(found.values())[shard.index :: shard.count]
    return sorted(mine, key=lambda task: model_key(task.recipe))


def _check_targets(targets: Iterable[TargetRecipe]) -> None:
    """Raises UserError for an unknown target, or a constant that it has not."""
    distinct = {(target.name, frozenset(target.overrides)): target for target in targets}
    for target in distinct.values():
        load_target(target.name, target.overrides)


def sweep(
    tasks: Sequence[Task],
    log: Log,
    samples: int = 1000,
    jobs: int = 1,
    on_point: Callable[[int, int], None] = lambda done, count: None,
) -> list[dict[str, Any]]:
    """Every task's line, those of an earlier run read from the log.

    `on_point` is told how many are done, and of how many. Raises UserError for a model that cannot
    be made; what was done until then is in the log.
    """
    if jobs < 1:
        raise UserError("--jobs", expected="1 or more", got=str(jobs), change="--jobs 2")
    done = log.done()
    left = [task for task in tasks if task.hash not in done]
    count = len(tasks) - len(left)
    on_point(count, len(tasks))
    for points in _evaluated(left, samples, jobs):
        lines = [point.to_dict() for point in points]
        log.append(lines)
        done |= {line["recipe"]: line for line in lines}
        count += len(lines)
        on_point(count, len(tasks))
    return [done[task.hash] for task in tasks]


def _evaluated(tasks: Sequence[Task], samples: int, jobs: int) -> Iterator[list[Point]]:
    if jobs == 1:
        evaluator = Evaluator(samples)
        for task in tasks:
            yield [_point(evaluator, task)]
        return
    parts = [tasks[i : i + _AT_ONCE] for i in range(0, len(tasks), _AT_ONCE)]
    with ExitStack() as stack:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(jobs, context, _begin, (samples,))
        stack.callback(pool.shutdown, cancel_futures=True)
        running: set[Future[list[Point]]] = {pool.submit(_part, part) for part in parts}
        while running:
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in ready)


def _begin(samples: int) -> None:
    """Begin a process of the pool; it ends with the one that began it, however that ends."""
    global _evaluator
    _evaluator = Evaluator(samples)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


_evaluator = Evaluator()


def _part(tasks: Sequence[Task]) -> list[Point]:
    return [_point(_evaluator, task) for task in tasks]


def _point(evaluator: Evaluator, task: Task) -> Point:
    start = time.perf_counter()
    outcome = evaluator(task.recipe).to_dict()
    return Point(task.overrides, task.hash, outcome, time.perf_counter() - start)


def override(key: str, value: Any) -> str:
    """'key=value' with the value as YAML has it in one line."""
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"
