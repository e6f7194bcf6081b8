"""`weft bench training`: how well a network trains with delayed gradients, method by method.

An experiment is measured for every method, learning rate and seed. Each method is compiled once:
start values, masks and learning rates are inputs of the compiled program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, cast

import numpy as np

from ...runtime.data import Dataset
from ...runtime.executors import make_executor
from ...runtime.tick.job import Executor, Job, Mode
from ...runtime.training.scores import class_axes, class_score
from ..machine import machine_line

if TYPE_CHECKING:
    from ...runtime.jax.executor import JaxExecutor

SEQUENTIAL = "sequential"
"""The method without a pipeline: batch size 1, no delay."""

_DIVERGED_AFTER = 25


@dataclass(frozen=True)
class Setting:
    """One run: SEQUENTIAL or a delay compensation, `factor` times the usual rate, a seed."""

    method: str
    factor: float
    seed: int

    @property
    def mode(self) -> Mode:
        """How an executor runs it."""
        return "sequential" if self.method == SEQUENTIAL else "pipelined"


@dataclass(frozen=True)
class Experiment:
    """A network and its data. `job` gives the job of a setting.

    Settings of equal `program` (by default, of one method) have jobs that one compiled program can
    run: the same stages, rule, masked names and schedule of mask updates.
    `setup` says in words all that decides the result beside the setting.
    """

    name: str
    setup: str
    data: Dataset
    epochs: int
    rate: float
    methods: tuple[str, ...]
    job: Callable[[Setting], Job]
    program: Callable[[Setting], str] = attrgetter("method")

    def key(self, setting: Setting) -> tuple[object, ...]:
        """What running a setting measures; the key of its record."""
        return (self.name, self.setup, self.epochs, setting.method, setting.factor, setting.seed)


@dataclass(frozen=True)
class Record:
    """What one run gave: accuracy and mean cross-entropy (nats) on the test samples.

    `loss` is None if it is not finite. `first_delay` is the delay of the first stage, in updates
    (the last has none); `samples` counts those trained on, fewer than planned for a run that was
    given up since it diverged. `seconds` leaves compiling out; `machine` includes versions.
    """

    experiment: str
    setup: str
    method: str
    factor: float
    rate: float
    seed: int
    epochs: int
    first_delay: int
    samples: int
    accuracy: float
    loss: float | None
    diverged: bool
    seconds: float
    machine: str

    @property
    def key(self) -> tuple[object, ...]:
        """What was run: two records with one key repeat the same measurement."""
        return (self.experiment, self.setup, self.epochs, self.method, self.factor, self.seed)


def settings(
    methods: Iterable[str], factors: Iterable[float], seeds: Iterable[int]
) -> list[Setting]:
    """Every combination, seed by seed: a run cut short leaves whole tables of fewer seeds."""
    methods, factors = list(methods), list(factors)
    return [Setting(m, factor, seed) for seed in seeds for m in methods for factor in factors]


def measure(experiment: Experiment, chosen: Iterable[Setting]) -> Iterator[Record]:
    """Run settings in their order, one record as each is done; programs are compiled when needed.

    Raises UserError without jax.
    """
    machines: dict[str, JaxExecutor] = {}
    for setting in chosen:
        job, program = experiment.job(setting), experiment.program(setting)
        if program in machines:
            machines[program].restart(job)
        else:
            machines[program] = cast("JaxExecutor", make_executor("jax", job, setting.mode))
        yield _record(experiment, setting, job, machines[program])


def _record(experiment: Experiment, setting: Setting, job: Job, machine: JaxExecutor) -> Record:
    compiled = machine.compile_seconds
    began = time.perf_counter()
    samples, diverged = _train(machine, experiment, setting.seed)
    accuracy, loss = _test(machine, experiment.data)
    compiling = machine.compile_seconds - compiled
    return Record(
        experiment=experiment.name,
        setup=experiment.setup,
        method=setting.method,
        factor=setting.factor,
        rate=setting.factor * experiment.rate,
        seed=setting.seed,
        epochs=experiment.epochs,
        first_delay=job.stages.delay(0) if setting.mode == "pipelined" else 0,
        samples=samples,
        accuracy=accuracy,
        loss=loss if np.isfinite(loss) else None,
        diverged=diverged,
        seconds=time.perf_counter() - began - compiling,
        machine=machine_line(),
    )


def _train(machine: Executor, experiment: Experiment, seed: int) -> tuple[int, bool]:
    """Train all epochs, then drain; samples trained on, and whether the run was given up."""
    data, samples = experiment.data, 0
    for order in data.epochs(experiment.epochs, seed):
        results = machine.feed([data.x_train[order], data.y_train[order]])
        samples += len(order)
        latest = results.losses.values[-_DIVERGED_AFTER:]
        if len(latest) == _DIVERGED_AFTER and not np.isfinite(latest).any():
            return samples, True
    machine.flush()
    return samples, False


def _test(machine: Executor, data: Dataset) -> tuple[float, float]:
    """Accuracy and loss on the test samples."""
    predictions = machine.evaluate([data.x_test, data.y_test])[0]
    axis = class_axes(predictions.shape, data.y_test.shape)[0]
    with np.errstate(all="ignore"):  # of a run that diverged
        return class_score(predictions, data.y_test, axis)
