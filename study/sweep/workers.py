"""Who evaluates points: this process, several of this machine, or Ray's."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ...backend.errors import UnknownNameError, UserError
from ...backend.packages import package
from ...compiler.recipes.recipe import Recipe
from .evaluate import Evaluator
from .points import Overrides

PLACES = ("processes", "ray")
_AT_ONCE = 8
"""Points that a worker is given together: what a crash makes it do again."""


@dataclass(frozen=True)
class PointTask:
    """A point to evaluate; `hash` is that of its whole recipe, and `prices` is equal for points
    whose stages have the same prices: one worker should do them."""

    overrides: Overrides
    hash: str
    recipe: Recipe
    prices: str = ""


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


Workers = Callable[[Sequence[PointTask]], Iterator[list[Point]]]
"""Points as they are done, some at a time, in any order."""


@contextmanager
def workers(samples: int, jobs: int = 1, over: str = "processes") -> Iterator[Workers]:
    """So many workers, which keep models between calls, until the block ends.

    Raises UserError for no jobs and where Ray is missing, UnknownNameError for another place.
    """
    if jobs < 1:
        raise UserError("--jobs", expected="1 or more", got=str(jobs), change="--jobs 2")
    if over not in PLACES:
        raise UnknownNameError("place of workers", over, PLACES, "weft sweep --help")
    with ExitStack() as stack:
        if over == "ray":
            yield stack.enter_context(_ray(samples, jobs))
        elif jobs > 1:
            yield stack.enter_context(_processes(samples, jobs))
        else:
            stack.callback(gc.unfreeze)
            evaluator = Evaluator(samples, _settle)
            yield lambda tasks: ([_point(evaluator, task)] for task in tasks)


def _parts(tasks: Sequence[PointTask], jobs: int) -> list[Sequence[PointTask]]:
    """Tasks for one worker at a time: few enough that all have some, and those with the same prices
    together if they are not many."""
    size = max(1, min(_AT_ONCE, len(tasks) // jobs))
    parts: list[Sequence[PointTask]] = []
    for _, alike in groupby(tasks, key=lambda task: task.prices):
        group = list(alike)
        if parts and len(parts[-1]) + len(group) <= size:
            parts[-1] = [*parts[-1], *group]
        elif len(group) <= 2 * size:
            parts.append(group)
        else:
            parts += [group[i : i + size] for i in range(0, len(group), size)]
    return parts


@contextmanager
def _processes(samples: int, jobs: int) -> Iterator[Workers]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _begin, (samples,))

    def evaluate(tasks: Sequence[PointTask]) -> Iterator[list[Point]]:
        running: set[Future[list[Point]]] = {pool.submit(_part, p) for p in _parts(tasks, jobs)}
        while running:
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in ready)

    try:
        yield evaluate
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _ray(samples: int, jobs: int) -> Iterator[Workers]:
    """Actors of the cluster that RAY_ADDRESS names, or of one that is started here."""
    ray = package("ray", "--over ray", "weft[ray]")
    was_up = ray.is_initialized()
    if not was_up:
        own = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": jobs, "include_dashboard": False}
        ray.init(log_to_driver=False, **own)
    actors: list[Any] = [ray.remote(num_cpus=1)(_Actor).remote(samples) for _ in range(jobs)]
    pool = ray.util.ActorPool(actors)

    def evaluate(tasks: Sequence[PointTask]) -> Iterator[list[Point]]:
        parts = _parts(tasks, jobs)
        yield from pool.map_unordered(lambda actor, part: actor.evaluate.remote(part), parts)

    try:
        yield evaluate
    finally:
        for actor in actors:
            ray.kill(actor)
        if not was_up:
            ray.shutdown()


def _settle() -> None:
    """Keeps the garbage collector off modules and graphs, which are a million objects that stay: it
    would go through all of them at most points."""
    gc.collect()
    gc.freeze()


class _Actor:
    """A worker of Ray's; imports weft when it begins."""

    def __init__(self, samples: int) -> None:
        self._evaluator = Evaluator(samples, _settle)

    def evaluate(self, tasks: Sequence[PointTask]) -> list[Point]:
        return [_point(self._evaluator, task) for task in tasks]


def _begin(samples: int) -> None:
    """Begin a process of the pool; it ends with the one that began it, however that ends."""
    global _evaluator
    _evaluator = Evaluator(samples, _settle)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


_evaluator = Evaluator()


def _part(tasks: Sequence[PointTask]) -> list[Point]:
    return [_point(_evaluator, task) for task in tasks]


def _point(evaluator: Evaluator, task: PointTask) -> Point:
    start = time.perf_counter()
    outcome = evaluator(task.recipe).to_dict()
    return Point(task.overrides, task.hash, outcome, time.perf_counter() - start)
