"""The tick as one XLA program through torch_xla: many samples per dispatch, all state there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ...backend.optim.rule import Array
from ...backend.sparsity import MaskRule
from ...compiler.plan.program import HOST, Source
from ..tick.dispatches import Dispatches
from ..tick.evaluation import without_draws
from ..tick.job import Job, Mode, Skips, sample_arrays, to_numpy, to_rows
from ..tick.mask_updates import masks_updated
from ..tick.masks import Masked
from ..tick.rows import padded
from ..tick.shard import spec_of
from ..tick.train_state import Model
from .loop import Loop, Op, at
from .sequential import SequentialTick
from .snapshot import restore, snapshot
from .stage import TracedStage, traced_stages
from .tick import Feed, Pipeline, PipelinedTick
from .trace import to_device

_EVALUATION_BATCH = 60
_TICKS = {"pipelined": PipelinedTick, "sequential": SequentialTick}


class XlaExecutor(Dispatches):
    """Runs a `Job` on torch_xla's device (`device.claim`); its meaning is the reference's.

    `chunk` is the largest number of ticks per dispatch. `compile_seconds` is what tracing and
    compiling took so far: the training program at construction, evaluation at its first use.
    Raises UnsupportedError for an operator without a lowering.
    """

    def __init__(self, job: Job, mode: Mode = "pipelined", chunk: int = 128) -> None:
        began = time.perf_counter()
        self.job, self.chunk = job, chunk
        self._begin()
        model = Model.start(job, job.stages.stages, lambda tensor: tensor.detach().clone(), torch)
        self._rate_type = _widest(model)
        tick = _TICKS[mode](job, model, torch.zeros((), dtype=self._rate_type))
        self.tick_function = tick
        start = Pipeline(model, tick.buffers())
        self.pipeline = pytree.tree_map(to_device, start)
        rows = [spec_of(job.stages, source) for source in tick.results]
        self._train = Loop(tick, self.pipeline, self._feed([]), rows, chunk)
        self._predict: Loop | None = None
        self._dispatch([], 0)
        self.compile_seconds = time.perf_counter() - began

    def evaluate(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Predictions (N, ...) with the current weights and normalization state."""
        arrays, parts = sample_arrays(self.job.stages, inputs), []
        for start in range(0, len(arrays[0]), _EVALUATION_BATCH):
            slices = [array[start : start + _EVALUATION_BATCH] for array in arrays]
            batch = [_padded(array, _EVALUATION_BATCH) for array in slices]
            fixed = (self.model, batch)
            if self._predict is None:
                self._predict = self._evaluation(fixed)
            _, made = self._predict((), fixed, len(slices[0]))
            parts.append([to_numpy(value.cpu())[: len(slices[0])] for value in made])
        columns = zip(*parts, strict=True)
        return tuple(to_rows([row for part in column for row in part]) for column in columns)

    def tensors(self) -> dict[str, Tensor]:
        """Current parameters and normalization state by model name."""
        current = {**self.model.weights, **self.model.state}
        return {name: value.cpu() for name, value in current.items()}

    def masks(self) -> dict[str, Tensor]:
        """Current masks by parameter name."""
        return {name: value.cpu() for name, value in self.model.masks.items()}

    def skips(self) -> tuple[Skips, ...]:
        """For each stage, the updates skipped because a gradient or the loss was not finite."""
        counts, none = self.model.skips, torch.zeros(3, dtype=torch.int32)
        found = (counts.get(str(stage.index), none) for stage in self.job.stages.stages)
        return tuple(Skips(*row.tolist()) for row in found)

    def snapshot(self) -> dict[str, Tensor]:
        """All that training goes on from, by name, as copies."""
        return snapshot(self)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Become the executor that gave the snapshot; raises UserError for one of another job."""
        restore(self, tensors)

    @property
    def model(self) -> Model:
        """What training changes."""
        return self.pipeline.model

    def _feed(self, inputs: Sequence[np.ndarray]) -> Feed:
        """What a dispatch reads: its samples, and the rates of its updates."""
        span = torch.tensor([self.tick, self.first_fed, self.fed - 1], dtype=torch.int32)
        rates = torch.from_numpy(self._rates()).to(self._rate_type)
        samples = [to_device(torch.from_numpy(array)) for array in self._samples(inputs)]
        return Feed(to_device(span), to_device(rates), samples)

    def _rows(self, inputs: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
        self.pipeline, made = self._train(self.pipeline, self._feed(inputs), count)
        return [to_numpy(values.cpu()) for values in made]

    def _update_masks(self, steps: dict[str, int]) -> None:
        model = masks_updated(self, steps, _change, torch)
        self.pipeline = replace(self.pipeline, model=model)

    def _evaluation(self, fixed: tuple[Model, list[Tensor]]) -> Loop:
        began = time.perf_counter()
        rate = torch.zeros((), dtype=self._rate_type)
        job = replace(self.job, stages=without_draws(self.job.stages))
        forwards = traced_stages(job, self.model, rate, lambda _: 0)
        predictions = self.job.stages.predictions

        def body(state: tuple[()], fixed: tuple[Model, list[Op]], number: Op):
            known = _forward(forwards, fixed[0], [at(rows, number) for rows in fixed[1]])
            return state, [known[source] for source in predictions]

        rows = [spec_of(self.job.stages, source) for source in predictions]
        loop = Loop(body, (), fixed, rows, _EVALUATION_BATCH)
        loop((), fixed, 0)
        self.compile_seconds += time.perf_counter() - began
        return loop


def _forward(stages: Sequence[TracedStage], model: Model, sample: Sequence[Op]) -> dict[Source, Op]:
    """All that the stages make of a sample with the weights as they are, by source."""
    builder = sample[0].builder()
    nothing = Op.constant(builder, torch.zeros(())), Op.constant(builder, torch.tensor(True))
    known = {Source(HOST, number): value for number, value in enumerate(sample)}
    for own in stages:
        inputs = [known[source] for source in own.stage.inputs]
        result, _, _ = own.forward(builder, model.of(own.stage), inputs, *nothing)
        known |= {Source(own.stage.index, n): value for n, value in enumerate(result.outputs)}
    return known


def _widest(model: Model) -> torch.dtype:
    """The type of learning rates: that of the weights, at least float32."""
    found = torch.float32
    for weight in model.weights.values():
        found = torch.promote_types(found, weight.dtype)
    return found


def _padded(array: np.ndarray, rows: int) -> Tensor:
    return to_device(torch.from_numpy(padded(array, rows)))


def _change(before: Masked, rule: MaskRule, collected: Array | None, step: int) -> Masked:
    """A mask update on the host."""
    on_host = pytree.tree_map(lambda value: value.cpu(), tuple(before))
    gradient = None if collected is None else collected.cpu()
    after = Masked(*on_host).updated(rule, gradient, step, torch)
    return Masked(*pytree.tree_map(to_device, tuple(after)))
