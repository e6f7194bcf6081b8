"""Training: epochs of shuffled samples through an executor, without draining between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ...backend.errors import DivergedError
from ...backend.optim import Settings
from ...backend.pacing import PacedPass
from ..checkpoint import Checkpoint, Score, Store
from ..data import Dataset, Samples, Splits
from ..executors import CHUNK, make_executor
from ..jax.shards.processes import any_of
from ..tick.job import Executor, Job, Mode, Results
from ..tick.precision import activation_type
from ..tick.rebuilding_error import errors, is_measured, without_errors
from ..tick.shard import Shards
from .data_fit import Fit
from .interrupt import Interrupted, stop_request
from .logs import DECAYS, LogFunction, pass_record
from .map_watch import MapWatch, NewMap
from .moving_statistics import MovingStatistics
from .order import Order, Shuffled
from .report import Progress, RunReport
from .scores import Scoring
from .stream import SampleStream
from .tester import Tester

__all__ = ["Progress", "RunReport", "make_executor", "train"]

_RUNNING_LOSS = 256


def train(
    job: Job,
    data: Dataset | Splits,
    *,
    executor: str = "jax",
    mode: Mode = "pipelined",
    device: str | None = None,
    shards: Shards | None = None,
    epochs: int = 1,
    seed: int = 0,
    evaluate_every: int | None = None,
    max_nonfinite: int = 25,
    workers: int = 1,
    averaged_statistics: int | None = None,
    scoring: Scoring | None = None,
    on_start: Callable[[Settings], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    logs: Sequence[LogFunction] = (),
    store: Store | None = None,
    start: Checkpoint | None = None,
    map_watch: MapWatch | None = None,
    order: Order | None = None,
) -> RunReport:
    """Train `epochs` epochs at batch size 1; test every `evaluate_every` samples, or epoch.

    `order` is that of the training samples, by default shuffled by `seed`.

    `shards` are the stages that each of several devices runs; by default one device runs all.
    `on_start` is told the learning rate and the constants of the update rule.
    `workers` read samples ahead. Tests are at the moving statistics of normalizations averaged over
    the latest `averaged_statistics` samples, or at those of the moment. `scoring` is by the labels'
    type if it is left out. Testing uses the weights as they are and leaves the samples in flight
    alone. At the end the pipeline is drained, so that every sample has updated every stage. With a
    part for validation it is tested all along, and the test part is read once, after that.
    With a `store`, checkpoints are written, one of them when the process is asked to stop; that
    raises Interrupted. A run from the checkpoint `start` continues to the bit as if it had never
    stopped. `map_watch` is shown the masks at the start and, if they change, after every chunk.
    Raises UserError for data that do not fit the model, a checkpoint of something else, and where
    `map_watch` says that the run must stop; DivergedError after `max_nonfinite` non-finite losses,
    or skipped updates of one stage, in a row.
    """
    splits = data.splits if isinstance(data, Dataset) else data
    fit = Fit(job.stages, splits)
    if on_start is not None:
        on_start(job.settings)
    began = time.perf_counter()
    machine = make_executor(executor, job, mode, device, shards)
    watch = _Watch(on_progress or (lambda progress: None), logs, max_nonfinite, map_watch)
    order = Shuffled(splits, seed) if order is None else order
    averages = _averages(job, averaged_statistics)
    scoring, labels = scoring or Scoring.of(job.stages), job.stages.model_inputs[-1]
    tester = Tester(machine, splits, order, scoring, labels.shape[1:], averages=averages)
    run = _Run(machine, job, splits, epochs, evaluate_every, tester, watch)
    if start is not None:
        run.restore(start)
    run.look_at_masks()
    if watch.outgrown:
        raise watch.outgrown.error("of the plan" if start is None else _kept_in(start.path))
    with stop_request(enabled=store is not None) as request:
        stream = run.stream(fit, workers, store.header.every if store else None)
        with closing(stream):
            for count, arrays in stream:
                run.chunk(count, arrays)
                _save(run, store, store is not None and any_of(request.is_made))
    run.finish()
    compile_s = getattr(machine, "compile_seconds", 0.0)
    names = [stage.name for stage in job.stages.stages]
    skips = zip(names, machine.skips(), strict=True)
    rules = job.mask_rules.items()
    return RunReport(
        executor=executor,
        mode=mode,
        optimizer=job.settings,
        activations=activation_type(job.stages),
        epochs=epochs,
        losses=np.concatenate(run.losses),
        first_loss=run.first_loss,
        scores=tuple(run.scores),
        skipped={name: counts.total for name, counts in skips if counts.total},
        samples_per_s=run.progress.samples_per_s,
        compile_s=compile_s,
        train_s=time.perf_counter() - began - compile_s,
        data_wait_s=stream.waited_s,
        tensors=without_errors(machine.tensors()),
        masks=machine.masks(),
        new_maps=() if map_watch is None else map_watch.found,
        state_bytes=getattr(machine, "state_bytes", None),
        temporary_bytes=getattr(machine, "temporary_bytes", None),
        refused_growth={name: n for name, rule in rules if (n := rule.refused)},
        rebuilding_errors=run.rebuilding_errors(),
        passes=tuple(run.passes),
        sparsities=tuple(run.sparsities),
        resumed_at=0 if start is None else start.header.samples,
    )


def _averages(job: Job, span: int | None) -> MovingStatistics | None:
    """None for a model without moving statistics."""
    return MovingStatistics(span) if span is not None and job.statistics else None


def share_of_zeros(masks: Mapping[str, Tensor]) -> float:
    """Of all weights that have a mask together."""
    elements = sum(mask.numel() for mask in masks.values())
    return 1 - sum(int(mask.sum()) for mask in masks.values()) / max(elements, 1)


def _save(run: _Run, store: Store | None, is_asked_to_stop: bool) -> None:
    path, outgrown = None, run.watch.outgrown
    if store is not None:
        is_due = run.samples % store.header.every == 0 or run.samples == run.total
        if is_due or is_asked_to_stop or outgrown:
            state = run.machine.snapshot(), run.tester.order.state()
            path = store.write(run.samples, tuple(run.scores), *state)
    if outgrown:
        raise outgrown.error(_kept_in(path) if path else "not kept: train with a checkpoint")
    if path is not None and is_asked_to_stop:
        raise Interrupted(path)


def _kept_in(checkpoint: Path) -> str:
    return f"in {checkpoint}: weft checkpoint plan writes the trained plan"


@dataclass(frozen=True)
class _Watch:
    """Who is told of a run, and when it has to stop."""

    on_progress: Callable[[Progress], None]
    logs: Sequence[LogFunction]
    max_nonfinite: int
    maps: MapWatch | None

    @property
    def outgrown(self) -> MapWatch | None:
        """The watch that says that the run must stop."""
        return self.maps if self.maps is not None and self.maps.must_stop else None


class _Run:
    """The state of one call of `train`."""

    def __init__(
        self,
        machine: Executor,
        job: Job,
        data: Splits,
        epochs: int,
        test_every: int | None,
        tester: Tester,
        watch: _Watch,
    ) -> None:
        self.machine, self.job, self.data = machine, job, data
        self.tester, self.watch = tester, watch
        self.samples, self.total = 0, epochs * len(data.train)
        self.test_every = test_every or len(data.train)
        self.losses: list[np.ndarray] = []
        self.first_loss = 0
        self.scores: list[Score] = []
        self.new_maps: tuple[NewMap, ...] = ()
        self.sparsity: float | None = None
        self.sparsities: list[tuple[int, float]] = []
        self.passes: list[PacedPass] = []
        self.constants = {n: v for n, v in job.settings.items() if n in DECAYS}
        self.training_s, self.trained_here = 0.0, 0
        self.measures = is_measured(job.stages)
        self.progress = Progress(0, self.total, 0, float("nan"), 0.0, None)

    def restore(self, start: Checkpoint) -> None:
        """Stand where the checkpoint was written."""
        self.machine.restore(start.tensors)
        self.samples = self.first_loss = start.header.samples
        self.tester.order.restore(self.samples, start.order)
        self.scores = [*start.header.scores]
        self.progress = replace(self.progress, samples=self.samples)
        if self.scores:
            self.progress = self.progress.after(self.scores[-1])

    def look_at_masks(self) -> None:
        """How many weights they leave out, and the stages whose masks do not fit the map any more;
        the next report has both."""
        masks = self.machine.masks()
        if self.job.mask_rules:
            self.sparsity = share_of_zeros(masks)
            self.sparsities.append((self.samples, self.sparsity))
        if self.watch.maps is not None:
            self.new_maps += self.watch.maps.look(self.samples, masks)

    def stream(self, fit: Fit, workers: int, every: int | None) -> SampleStream:
        """The samples to come; chunks end where a test or a checkpoint is due."""
        marks = (self.test_every, *([every] if every else []))
        parts = self.tester.order.parts(range(self.samples, self.total), marks, CHUNK)
        return SampleStream(self.data, fit, parts, workers)

    def chunk(self, count: int, arrays: list[np.ndarray]) -> None:
        """Feed a chunk of samples."""
        epoch = self.samples // len(self.data.train)
        results = self._timed(lambda: self.machine.feed(arrays))
        self.samples += count
        self.trained_here += count
        is_test_due = self.samples % self.test_every == 0
        self._advance(epoch, results, is_test_due, count=count)

    def finish(self) -> None:
        """Drain the pipeline and test."""
        results = self._timed(self.machine.flush)
        self._advance(self.progress.epoch, results, is_test_due=True, is_last=True)

    def _timed(self, work: Callable[[], Results]) -> Results:
        began = time.perf_counter()
        results = work()
        self.training_s += time.perf_counter() - began
        return results

    def _advance(
        self,
        epoch: int,
        results: Results,
        is_test_due: bool,
        is_last: bool = False,
        count: int = 0,
    ) -> None:
        losses = np.asarray(results.losses.values, dtype=np.float64).reshape(-1)
        if len(losses) and not any(map(len, self.losses)):
            self.first_loss = results.losses.first
        self.losses.append(losses)
        self.tester.watch(results, self.samples)
        ended = self.tester.order.fed(count, results.losses)
        self.passes += ended
        if self.job.mask_rules:
            self.look_at_masks()
        skips = self.machine.skips()
        recent = self._recent(_RUNNING_LOSS)
        self.progress = replace(
            self.progress,
            samples=self.samples,
            epoch=epoch,
            loss=float(recent.mean()) if len(recent) else float("nan"),
            samples_per_s=self.trained_here / self.training_s,
            skipped=sum(counts.total for counts in skips),
            new_maps=self.progress.new_maps + len(self.new_maps),
        )
        self._check_divergence(max((counts.longest for counts in skips), default=0))
        self._report(losses, self._test(is_last) if is_test_due else {}, ended)

    def _test(self, is_last: bool) -> dict[str, float]:
        """Score the samples that are not trained on, if the model predicts something.

        Where there is a part for validation, the test part is scored at the end only.
        """
        is_split = self.data.validation is not None
        parts: dict[str, Samples | None] = {"validation": self.data.validation}
        if is_last or not is_split:
            parts["test"] = self.data.test
        values: dict[str, float] = {}
        for part, samples in parts.items():
            if samples is None:
                continue
            found = self.tester.test(self.samples, part, samples, is_last)
            if found is not None:
                self.scores.append(found)
                values |= found.values
                if part == "validation" or not is_split:
                    self.progress = self.progress.after(found)
        return values

    def _report(
        self, losses: np.ndarray, tested: dict[str, float], ended: tuple[PacedPass, ...]
    ) -> None:
        self.watch.on_progress(self.progress)
        record = {
            "samples": self.samples,
            "epoch": self.progress.epoch,
            "loss": float(losses.mean()) if len(losses) else None,
            "learning_rate": self.job.rate(self.samples - 1),
            **self.constants,
            "skipped_updates": self.progress.skipped,
            "samples_per_s": round(self.progress.samples_per_s, 1),
            **({} if self.sparsity is None else {"sparsity": self.sparsity}),
            **self._refused_growth(),
            **tested,
            **({"new_maps": [new.data() for new in self.new_maps]} if self.new_maps else {}),
            **self._rebuilding(),
            **(pass_record(ended[-1]) if ended else {}),
        }
        self.new_maps = ()
        for log in self.watch.logs:
            log(record)

    def rebuilding_errors(self) -> dict[str, float]:
        """By stage, the relative error of what it rebuilds; none where that is not measured."""
        return errors(self.job.stages, self.machine.tensors()) if self.measures else {}

    def _refused_growth(self) -> dict[str, int]:
        """Where weights grow in room only: how many so far had none."""
        bound = [rule for rule in self.job.mask_rules.values() if rule.needs_room]
        return {"refused_growth": sum(rule.refused for rule in bound)} if bound else {}

    def _rebuilding(self) -> dict[str, Any]:
        found = {name: e for name, e in self.rebuilding_errors().items() if isfinite(e)}
        if not found:
            return {}
        rows = [{"stage": name, "error": error} for name, error in found.items()]
        return {"rebuilding_error": max(found.values()), "rebuilding_errors": rows}

    def _check_divergence(self, skipped_in_row: int) -> None:
        limit = self.watch.max_nonfinite
        recent = self._recent(limit)
        if len(recent) == limit and not np.isfinite(recent).any():
            got = f"{limit} non-finite losses in a row"
        elif skipped_in_row >= limit:
            got = f"{skipped_in_row} non-finite gradients in a row at one stage"
        else:
            return
        raise DivergedError(
            f"training diverged after {self.samples} samples",
            expected="finite losses and gradients",
            got=got,
            change="lower optimizer.lr, set training.clip_norm, or raise optimizer.schedule.warmup",
        )

    def _recent(self, count: int) -> np.ndarray:
        tail: list[np.ndarray] = []
        for part in reversed(self.losses):
            tail.insert(0, part)
            if sum(map(len, tail)) >= count:
                break
        return np.concatenate(tail)[-count:]
