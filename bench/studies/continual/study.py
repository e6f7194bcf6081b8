"""`weft bench hebbian`: how much of earlier tasks is left, with and without a plastic head."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

from ....backend.errors import UnknownNameError
from ...machine import machine_line
from ..evidence import TableText, markdown
from ..kept import missing_rows
from ..paced import with_error
from .learner import Learner, Method
from .tasks import Images, Task

PLAIN = "soft-max"
METHODS = {
    PLAIN: Method(0.0, 0.0, False),
    "plastic": Method(0.001, 0.01, False),
    "plastic, eta 0.01": Method(0.01, 0.01, False),
    "soft-max, EWC": Method(0.0, 0.0, True),
    "plastic, eta 0.01, EWC": Method(0.01, 0.01, True),
}
KINDS = ("permuted", "split")


@dataclass(frozen=True)
class TaskRow:
    """One run: by task trained, the share of right answers on each task so far."""

    setup: str
    kind: str
    method: str
    seed: int
    accuracies: list[list[float]]
    seconds: float
    machine: str

    @property
    def key(self) -> tuple[object, ...]:
        """What was run."""
        return self.setup, self.method, self.seed

    @property
    def average(self) -> float:
        """Mean accuracy of all tasks after the last."""
        return fmean(self.accuracies[-1])

    @property
    def fresh(self) -> float:
        """Mean accuracy of each task just after it was trained."""
        return fmean(row[-1] for row in self.accuracies)


@dataclass(frozen=True)
class TaskStudy:
    """The runs on `permuted` or `split` tasks of a data set, `digits` or a .npz file."""

    kind: str = "permuted"
    data: str = "digits"
    samples: int = 2000
    seeds: int = 3
    rate: float = 1e-2
    penalty: float = 30.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError("kind of tasks", self.kind, KINDS, "weft bench hebbian --help")

    @cached_property
    def setup(self) -> str:
        """All that decides the results beside method and seed, in words."""
        tasks = self._tasks(0)
        sizes = [len(task.x) for task in tasks]
        most = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
        heads = "one head of 10 classes" if self.kind == "permuted" else "a head of 2 for each"
        plastic = METHODS["plastic"]
        return (
            f"{self.kind} {self._images.name}, {len(tasks)} tasks of {most} samples, each seen"
            f" once, {heads}; 2 hidden layers of {self._width}, SGD at rate {self.rate:g}; plastic:"
            f" eta fixed at {plastic.eta:g} or as named, alpha learned from {plastic.plasticity:g}"
            f" at most; EWC on the slow weights, lambda {self.penalty:g}"
        )

    @property
    def keys(self) -> list[tuple[object, ...]]:
        """Every method of a seed before the next seed."""
        return [(self.setup, m, seed) for seed in range(self.seeds) for m in self.methods]

    @property
    def methods(self) -> list[str]:
        """Those that can differ: EWC of a head that only one task has changes nothing."""
        is_split = self.kind == "split"
        return [name for name, method in METHODS.items() if not (is_split and method.consolidates)]

    def rows(self, records: Path) -> Iterator[TaskRow]:
        """A row per key; those that a former run left in the file are not run again."""
        return missing_rows(records, TaskRow, self.keys, self._run)

    def _run(self, key: tuple[object, ...]) -> TaskRow:
        _, method, seed = key
        name, number = str(method), int(str(seed))
        began = time.perf_counter()
        accuracies = self._learner.run(METHODS[name], self._tasks(number), number)
        return TaskRow(
            self.setup, self.kind, name, number, accuracies, time.perf_counter() - began,
            machine_line(),
        )  # fmt: skip

    def _tasks(self, seed: int) -> list[Task]:
        if self.kind == "split":
            return self._images.split(self.samples, seed)
        return self._images.permuted(10, self.samples, seed)

    @property
    def _width(self) -> int:
        wide = 400 if self.kind == "permuted" else 256
        return wide if self._images.data.x_train.shape[1] > 64 else 100

    @cached_property
    def _images(self) -> Images:
        return Images.load(self.data)

    @cached_property
    def _learner(self) -> Learner:
        features = self._images.data.x_train.shape[1]
        classes = 2 if self.kind == "split" else int(self._images.data.y_train.max()) + 1
        return Learner(features, classes, self._width, self.rate, self.penalty)


def task_table(rows: Sequence[TaskRow]) -> TableText:
    """A row per method: accuracies over all tasks and gaps to the plain head, standard errors."""
    headers = ["head", "all tasks at the end, %", "points to soft-max", "each task when learned, %"]
    headers += ["first task at the end, %", "seeds"]
    plain = {row.seed: row.average for row in rows if row.method == PLAIN}
    table = []
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        gaps = [100 * (row.average - plain[row.seed]) for row in own if row.seed in plain]
        table.append(
            [
                method,
                with_error([100 * row.average for row in own], 2),
                "" if method == PLAIN or not gaps else with_error(gaps, 2, "+"),
                with_error([100 * row.fresh for row in own], 2),
                with_error([100 * row.accuracies[-1][0] for row in own], 2),
                str(len(own)),
            ]
        )
    return headers, table


def task_page(rows: Sequence[TaskRow], planned: int) -> str:
    """The table in Markdown, with what was run and on what."""
    left = planned - len(rows)
    lines = [
        *([f"**Not finished: {left} of {planned} runs are missing.**\n"] if left else []),
        *dict.fromkeys(f"- {row.setup}" for row in rows),
        "- pipelined at batch size 1; mean ± standard error over the seeds, gaps seed by seed",
        *dict.fromkeys(f"- {row.machine}" for row in rows),
    ]
    return "\n".join([*lines, "", markdown(task_table(rows)), ""])
