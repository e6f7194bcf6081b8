"""`weft bench training`: how well a network trains with delayed gradients, method by method.

An experiment is measured for every method, learning rate and seed. Each method is compiled once:
start values, masks and learning rates are inputs of the compiled program.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, cast

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

DataPart = Literal["validation", "test"]
_DIVERGED_AFTER = 25


@dataclass(frozen=True)
class RunSetting:
    """One run: a method, `factor` times the usual rate, a seed, and what is tested at its end.

    A method is SEQUENTIAL or a delay compensation; one with a name of its own that ends with
    SEQUENTIAL has no pipeline either.
    """

    method: str
    factor: float
    seed: int
    part: DataPart = "test"

    @property
    def mode(self) -> Mode:
        """How an executor runs it."""
        return "sequential" if self.method.endswith(SEQUENTIAL) else "pipelined"


@dataclass(frozen=True)
class Experiment:
    """A network and its data. `job` gives the job of a setting.

    Settings of equal `program` (by default, of one method) have jobs that one compiled program can
    run: the same stages, rule, masked names and schedule of mask updates.
    `setup` says in words all that decides the result beside the setting. `validation` has inputs
    and labels that are neither trained on nor tested.
    """

    name: str
    setup: str
    data: Dataset
    epochs: int
    rate: float
    methods: tuple[str, ...]
    job: Callable[[RunSetting], Job]
    program: Callable[[RunSetting], str] = attrgetter("method")
    validation: tuple[np.ndarray, np.ndarray] | None = None

    def key(self, setting: RunSetting) -> tuple[object, ...]:
        """What running a setting measures; the key of its record."""
        run = setting.method, setting.factor, setting.seed, setting.part
        return (self.name, self.setup, self.epochs, *run)

    def held_out(self, part: DataPart) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels of a part."""
        if part == "test":
            return self.data.x_test, self.data.y_test
        assert self.validation is not None
        return self.validation


@dataclass(frozen=True)
class Record:
    """What one run gave: accuracy and mean cross-entropy (nats) on the samples of a part.

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
    part: DataPart = "test"

    @property
    def key(self) -> tuple[object, ...]:
        """What was run: two records with one key repeat the same measurement."""
        run = self.method, self.factor, self.seed, self.part
        return (self.experiment, self.setup, self.epochs, *run)


def settings(
    methods: Iterable[str], factors: Iterable[float], seeds: Iterable[int]
) -> list[RunSetting]:
    """Every combination, seed by seed: a run cut short leaves whole tables of fewer seeds."""
    methods, factors = list(methods), list(factors)
    return [RunSetting(m, factor, seed) for seed in seeds for m in methods for factor in factors]


def measure(experiment: Experiment, chosen: Iterable[RunSetting]) -> Iterator[Record]:
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


def _record(experiment: Experiment, setting: RunSetting, job: Job, machine: JaxExecutor) -> Record:
    compiled = machine.compile_seconds
    began = time.perf_counter()
    samples, diverged = _train(machine, experiment, setting.seed)
    accuracy, loss = _test(machine, *experiment.held_out(setting.part))
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
        part=setting.part,
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


def _test(machine: Executor, inputs: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Accuracy and loss."""
    predictions = machine.evaluate([inputs, labels])[0]
    axis = class_axes(predictions.shape, labels.shape)[0]
    with np.errstate(all="ignore"):  # of a run that diverged
        return class_score(predictions, labels, axis)
