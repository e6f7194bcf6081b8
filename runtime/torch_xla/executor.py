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
from ...compiler.plan.schedule import spec_of
from ..tick.dispatches import Dispatches
from ..tick.job import Job, Mode, to_numpy, to_tensor
from ..tick.mask_updates import masks_updated
from ..tick.masks import Masked
from ..tick.rows import in_batches
from ..tick.snapshot import copied
from ..tick.stage import forward_through, from_host
from ..tick.train_state import Pipeline, TrainedModel
from .loop import DeviceLoop, Op, at
from .stage import stage_functions, traced_evaluation
from .tick import Feed, XlaTick
from .trace import to_device

_EVALUATION_BATCH = 60


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
        model = TrainedModel.start(
            job, job.stages.stages, lambda tensor: tensor.detach().clone(), torch
        )
        self._rate_type = _widest(model)
        self.schedule = job.tick_schedule(mode)
        tick = XlaTick(job, self.schedule, model, torch.zeros((), dtype=self._rate_type))
        self._place(Pipeline(model, tick.buffers()))
        rows = [spec_of(job.stages, source) for source in job.stages.results]
        self._train = DeviceLoop(tick, self.pipeline, self._feed([]), rows, chunk)
        self._predict: DeviceLoop | None = None
        self._dispatch([], 0)
        self.compile_seconds = time.perf_counter() - began

    def evaluate(
        self, inputs: Sequence[np.ndarray], statistics: Mapping[str, Tensor] | None = None
    ) -> tuple[np.ndarray, ...]:
        """Predictions (N, ...) with the current weights and normalization state."""
        state = {name: to_device(value) for name, value in (statistics or {}).items()}
        model = replace(self.model, state={**self.model.state, **state})

        def predict(arrays: list[np.ndarray], count: int) -> list[np.ndarray]:
            fixed = (model, self._on_device(arrays))
            if self._predict is None:
                self._predict = self._evaluation(fixed)
            return [to_numpy(value.cpu()) for value in self._predict((), fixed, count)[1]]

        return in_batches(self.job.stages, inputs, _EVALUATION_BATCH, predict)

    @property
    def model(self) -> TrainedModel:
        """What training changes."""
        return self.pipeline.model

    def _feed(self, inputs: Sequence[np.ndarray]) -> Feed:
        """What a dispatch reads: its samples, and the rates of its updates."""
        span = torch.tensor([self.tick, self.first_fed, self.fed - 1], dtype=torch.int32)
        rates = torch.from_numpy(self._rates()).to(self._rate_type)
        return Feed(to_device(span), to_device(rates), self._on_device(self._samples(inputs)))

    def _on_device(self, samples: Sequence[np.ndarray]) -> list[Tensor]:
        specs = self.job.stages.model_inputs
        return [to_device(to_tensor(*one)) for one in zip(samples, specs, strict=True)]

    def _rows(self, inputs: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
        self.pipeline, made = self._train(self.pipeline, self._feed(inputs), count)
        return [to_numpy(values.cpu()) for values in made]

    def _update_masks(self, steps: dict[str, int]) -> None:
        model = masks_updated(self, steps, _change, torch)
        self.pipeline = replace(self.pipeline, model=model)

    def _gathered(self) -> Pipeline:
        return self.pipeline

    def _form(self) -> Pipeline:
        return self.pipeline

    def _place(self, whole: Pipeline) -> None:
        self.pipeline = pytree.tree_map(to_device, whole)

    def _tensor(self, array: Tensor) -> Tensor:
        return copied(array)

    def _array(self, tensor: Tensor, form: Tensor) -> Tensor:
        return tensor

    def _evaluation(self, fixed: tuple[TrainedModel, list[Tensor]]) -> DeviceLoop:
        began = time.perf_counter()
        functions = stage_functions(self.job, self.schedule)
        traced = [traced_evaluation(own, self.model) for own in functions]
        predictions = self.job.stages.predictions

        def body(state: tuple[()], fixed: tuple[TrainedModel, list[Op]], number: Op):
            sample = from_host(at(rows, number) for rows in fixed[1])
            known = forward_through(traced, fixed[0], sample)
            return state, [known[source] for source in predictions]

        rows = [spec_of(self.job.stages, source) for source in predictions]
        loop = DeviceLoop(body, (), fixed, rows, _EVALUATION_BATCH)
        loop((), fixed, 0)
        self.compile_seconds += time.perf_counter() - began
        return loop


def _widest(model: TrainedModel) -> torch.dtype:
    """The type of learning rates: that of the weights, at least float32."""
    found = torch.float32
    for weight in model.weights.values():
        found = torch.promote_types(found, weight.dtype)
    return found


def _change(before: Masked, rule: MaskRule, collected: Array | None, step: int) -> Masked:
    """A mask update on the host."""
    on_host = pytree.tree_map(lambda value: value.cpu(), tuple(before))
    gradient = None if collected is None else collected.cpu()
    after = Masked(*on_host).updated(rule, gradient, step, torch)
    return Masked(*pytree.tree_map(to_device, tuple(after)))
