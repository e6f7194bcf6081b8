"""Training: epochs of shuffled samples through an executor, without draining between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from ..backend.errors import UnknownNameError, UserError
from .data import Dataset
from .job import Executor, Job, Mode

CHUNK = 128
_RUNNING_LOSS = 256
_NON_FINITE_LIMIT = 25

EXECUTORS = ("reference", "jax")


@dataclass(frozen=True)
class Progress:
    """Where a run is. `loss` is the mean over the latest samples, `accuracy` of the latest test."""

    samples: int
    total: int
    epoch: int
    loss: float
    samples_per_s: float
    accuracy: float | None


@dataclass(frozen=True)
class RunReport:
    """What a run gave. Losses are per training sample in the order they were fed.

    `accuracies` holds (samples trained, share of test samples predicted right) after each epoch
    and at the end. `samples_per_s` counts training alone: no compiling, no testing.
    """

    executor: str
    mode: Mode
    epochs: int
    losses: np.ndarray
    accuracies: tuple[tuple[int, float], ...]
    samples_per_s: float
    compile_s: float
    train_s: float
    tensors: Mapping[str, Tensor]

    @property
    def test_accuracy(self) -> float:
        """After the last sample."""
        return self.accuracies[-1][1]


def train(
    job: Job,
    data: Dataset,
    *,
    executor: str = "jax",
    mode: Mode = "pipelined",
    epochs: int = 1,
    seed: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunReport:
    """Train `epochs` epochs at batch size 1 and test after each.

    Testing uses the weights as they are and leaves the samples in flight alone. At the end the
    pipeline is drained, so that every sample has updated every stage.
    Raises UserError for data that do not fit the model, and when losses stay non-finite.
    """
    start = time.perf_counter()
    machine = make_executor(executor, job, mode)
    run = _Run(machine, data, epochs, on_progress or (lambda progress: None))
    for epoch, order in enumerate(data.epochs(epochs, seed)):
        run.epoch(epoch, order)
    run.finish()
    compile_s = getattr(machine, "compile_seconds", 0.0)
    return RunReport(
        executor=executor,
        mode=mode,
        epochs=epochs,
        losses=np.concatenate(run.losses),
        accuracies=tuple(run.accuracies),
        samples_per_s=run.progress.samples_per_s,
        compile_s=compile_s,
        train_s=time.perf_counter() - start - compile_s,
        tensors=machine.tensors(),
    )


def make_executor(name: str, job: Job, mode: Mode) -> Executor:
    """The executor 'reference' or 'jax'. Raises UnknownNameError, or UserError without jax."""
    if name == "reference":
        from .reference import ReferenceExecutor, SequentialReference

        return ReferenceExecutor(job) if mode == "pipelined" else SequentialReference(job)
    if name != "jax":
        raise UnknownNameError("executor", name, EXECUTORS, "weft doctor")
    try:
        from .jax_executor import JaxExecutor
    except ImportError as error:
        raise UserError(
            "executor jax",
            expected="jax in this environment",
            got=str(error),
            change="pip install 'weft[jax]', or take --executor reference",
        ) from error
    return JaxExecutor(job, mode, chunk=CHUNK)


class _Run:
    """The state of one call of `train`."""

    def __init__(
        self,
        machine: Executor,
        data: Dataset,
        epochs: int,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.machine, self.data, self.on_progress = machine, data, on_progress
        self.losses: list[np.ndarray] = []
        self.accuracies: list[tuple[int, float]] = []
        self.training_s = 0.0
        self.progress = Progress(0, epochs * len(data.x_train), 0, float("nan"), 0.0, None)

    def epoch(self, number: int, order: np.ndarray) -> None:
        self.progress = replace(self.progress, epoch=number)
        for first in range(0, len(order), CHUNK):
            self._feed(order[first : first + CHUNK])
        self._test()

    def finish(self) -> None:
        start = time.perf_counter()
        self._take(self.machine.flush().losses.values)
        self.training_s += time.perf_counter() - start
        self._advance(0)
        self._test()

    def _feed(self, samples: np.ndarray) -> None:
        start = time.perf_counter()
        results = self.machine.feed([self.data.x_train[samples], self.data.y_train[samples]])
        self.training_s += time.perf_counter() - start
        self._take(results.losses.values)
        self._advance(len(samples))

    def _take(self, losses: np.ndarray) -> None:
        self.losses.append(np.asarray(losses, dtype=np.float64).reshape(-1))
        recent = self._recent(_NON_FINITE_LIMIT)
        if len(recent) == _NON_FINITE_LIMIT and not np.isfinite(recent).any():
            raise UserError(
                f"training diverged after {self.progress.samples} samples",
                expected="finite losses",
                got=f"{_NON_FINITE_LIMIT} non-finite losses in a row",
                change="lower optimizer.lr, or raise optimizer.schedule.warmup",
            )

    def _recent(self, count: int) -> np.ndarray:
        tail: list[np.ndarray] = []
        for part in reversed(self.losses):
            tail.insert(0, part)
            if sum(map(len, tail)) >= count:
                break
        return np.concatenate(tail)[-count:]

    def _advance(self, samples: int) -> None:
        done = self.progress.samples + samples
        recent = self._recent(_RUNNING_LOSS)
        self.progress = replace(
            self.progress,
            samples=done,
            loss=float(recent.mean()) if len(recent) else float("nan"),
            samples_per_s=done / self.training_s,
        )
        self.on_progress(self.progress)

    def _test(self) -> None:
        predictions = self.machine.evaluate([self.data.x_test, self.data.y_test])[0]
        scores = predictions.reshape(len(self.data.y_test), -1)
        accuracy = float((scores.argmax(1) == self.data.y_test).mean())
        self.progress = replace(self.progress, accuracy=accuracy)
        self.accuracies.append((self.progress.samples, accuracy))
        self.on_progress(self.progress)
