"""The tick as one XLA program: many samples per dispatch, all state on the device.

The program loops over up to `chunk` ticks with a trip count given at run time, so filling, steady
state, a short last chunk and draining all run the one program that was compiled. The pipeline's
state is donated: it is updated in place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax import lax
from torch import Tensor

from ...backend.errors import UserError
from ...backend.sparsity import MaskRule
from ...compiler.plan.schedule import spec_of
from ..tick.dispatches import Dispatches
from ..tick.job import Job, Mode
from ..tick.mask_updates import masks_updated
from ..tick.masks import Masked
from ..tick.train_state import Pipeline, TrainedModel
from .compile import compile_program
from .evaluation import Evaluation, canonical, typed_samples
from .home import ManyDevices, OneDevice, one_device
from .ops.lower import jax_dtype
from .shards.tick import ShardedTick
from .tick import JaxMoment, JaxTick

Array = Any


class JaxExecutor(Dispatches):
    """Runs a `Job` on jax devices; see `runtime/reference/executor.py` for what it computes.

    `home` says on which: by default jax's default one.
    `chunk` is the largest number of ticks per dispatch. `compile_seconds` is what tracing and
    compiling took so far: the training program at construction, evaluation at its first use.
    Raises UnsupportedError for an operator without a lowering.
    """

    def __init__(
        self,
        job: Job,
        mode: Mode = "pipelined",
        chunk: int = 128,
        home: OneDevice | ManyDevices | None = None,
    ) -> None:
        self.job, self.chunk = job, chunk
        self.home: Any = home or one_device(job, mode)
        self.schedule = self.home.tick.schedule
        self._begin()
        self.pipeline = self.home.start()
        train = jax.jit(self.home.training(_run), donate_argnums=0)
        began = time.perf_counter()
        self._train = compile_program(train, *self._arguments([], 0))
        self._train_compile_seconds = time.perf_counter() - began
        self._evaluation = Evaluation(job, self.home)

    @property
    def compile_seconds(self) -> float:
        """What compiling took so far."""
        return self._train_compile_seconds + self._evaluation.compile_seconds

    def evaluate(
        self, inputs: Sequence[np.ndarray], statistics: Mapping[str, Tensor] | None = None
    ) -> tuple[np.ndarray, ...]:
        """Predictions (N, ...) with the current weights and normalization state."""
        model, given = self.model, statistics or {}
        state = {name: self._array(value, model.state[name]) for name, value in given.items()}
        changed = replace(model, state=model.state | state)
        return self._evaluation(self.home.with_model(self.pipeline, changed), inputs)

    @property
    def model(self) -> TrainedModel:
        """What training changes."""
        return self.home.model(self.pipeline)

    @property
    def state_bytes(self) -> int:
        """What weights, optimizer, normalization, masks, counters and FIFOs take on the device."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self.pipeline))

    @property
    def temporary_bytes(self) -> int:
        """What the training program needs on the device beside its state and its arguments."""
        return self.program_memory.temp_size_in_bytes

    @property
    def program_memory(self) -> Any:
        """XLA's account of the training program's memory."""
        return self._train.memory_analysis()

    def restart(self, job: Job) -> None:
        """Begin another job with the program that is compiled.

        It may differ in start values, masks and learning rates: what the program reads as it runs.
        Raises UserError for one that differs in anything else.
        """
        if _program(job) != _program(self.job):
            raise UserError(
                "job to restart with",
                expected="the stages, update rule, guard and masked parameters of the first job",
                got="others, which need another program",
                change="make a new executor for it",
            )
        self.job, self.home = job, self.home.of(job)
        self.schedule = self.home.tick.schedule
        self._begin()
        self.pipeline = self.home.start()

    def _gathered(self) -> Pipeline:
        return self.home.gathered(self.pipeline, self.tick)

    def _form(self) -> Pipeline:
        return self.home.form()

    def _place(self, whole: Pipeline) -> None:
        self.pipeline = self.home.placed(whole, self.tick)

    def _tensor(self, array: Array) -> Tensor:
        """A copy; numpy has no bfloat16, so its bits go through integers."""
        values = np.array(array)
        if values.dtype == jnp.bfloat16:
            return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(values)

    def _array(self, tensor: Tensor, form: Array) -> np.ndarray:
        if tensor.dtype == torch.bfloat16:
            return tensor.view(torch.int16).numpy().view(form.dtype)
        return tensor.numpy()

    def _arguments(self, inputs: Sequence[np.ndarray], count: int) -> tuple[Any, ...]:
        span = (self.tick, self.first_fed, self.fed - 1, count)
        return (
            self.pipeline,
            typed_samples(self.job.stages, self._samples(inputs)),
            canonical(self._rates()),
            *(np.int32(number) for number in span),
        )

    def _rows(self, inputs: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
        self.pipeline, made = self._train(*self._arguments(inputs, count))
        return [np.asarray(values) for values in made]

    def _update_masks(self, steps: dict[str, int]) -> None:
        model = masks_updated(self, steps, _change, jnp)
        self.pipeline = self.home.with_model(self.pipeline, model)


def _run(
    function: JaxTick | ShardedTick,
    pipeline: Any,
    inputs: Sequence[Array],
    rates: Array,
    tick: Array,
    first_fed: Array,
    last_fed: Array,
    count: Array,
) -> tuple[Any, tuple[Array, ...]]:
    """`count` ticks; results have one row per tick, and rows of zeros after the last."""

    def body(n: Array, carry: tuple[Any, tuple[Array, ...]]) -> tuple[Any, Any]:
        pipeline, collected = carry
        moment = JaxMoment(
            schedule=function.schedule,
            tick=tick + n,
            first_fed=first_fed,
            last_fed=last_fed,
            rates=lax.dynamic_slice_in_dim(rates, n, function.schedule.rates_read),
            sample=[lax.dynamic_index_in_dim(array, n, keepdims=False) for array in inputs],
        )
        pipeline, results = function(pipeline, moment)
        collected = tuple(
            lax.dynamic_update_index_in_dim(rows, row, n, 0)
            for rows, row in zip(collected, results, strict=True)
        )
        return pipeline, collected

    chunk = inputs[0].shape[0]
    stages = function.job.stages
    specs = [spec_of(stages, source) for source in stages.results]
    empty = tuple(jnp.zeros((chunk, *s.shape), jax_dtype(s.torch_dtype)) for s in specs)
    return lax.fori_loop(0, count, body, (pipeline, empty))


def _change(before: Masked, rule: MaskRule, collected: Array | None, step: int) -> Masked:
    return before.updated(rule, collected, step, jnp)


def _program(job: Job) -> tuple[object, ...]:
    """What the compiled program depends on."""
    stages = job.stages
    form = [(s.program.key, s.parameters, s.forward_state, s.inputs) for s in stages.stages]
    ends = (stages.model_inputs, stages.loss, stages.predictions)
    windows = {name: rule.window for name, rule in job.mask_rules.items()}
    return form, ends, job.rule, job.guard, set(job.masks), windows
