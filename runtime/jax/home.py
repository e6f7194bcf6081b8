"""Where the state of an executor lives: on one device, or in shards over several.

Both homes take a pipeline's state and give it back in the one form that snapshots have: a model by
the names of the stages, and a buffer for each of the schedule's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax

from ...compiler.plan.schedule import TickSchedule
from ..tick.job import Job, Mode
from ..tick.shard import Shards
from ..tick.stage import forward_through, from_host
from ..tick.stage_classes import Classes, classes_of_one, stage_classes
from ..tick.train_state import Pipeline, TrainedModel
from .classes import state as class_state
from .device import own_copy
from .shards import layout
from .shards.tick import ShardedState, ShardedTick
from .tick import JaxTick

Array = Any


class OneDevice:
    """All stages on jax's default device; equal ones done `together`."""

    batches = 1

    def __init__(self, job: Job, mode: Mode = "pipelined", together: bool = False) -> None:
        self._mode: Mode = mode
        self.together = together
        classes = batched_classes(job) if together else classes_of_one(job.stages)
        self.tick = JaxTick(job, job.tick_schedule(mode), classes)

    def of(self, job: Job) -> OneDevice:
        """The same for another job."""
        return OneDevice(job, self._mode, self.together)

    def start(self) -> Pipeline:
        """The start values of the job, and nothing in flight."""
        return jax.tree.map(own_copy, self.tick.start())

    def form(self) -> Pipeline:
        """Shapes and dtypes of all that a snapshot holds."""
        return form(self.tick.job, self.tick.schedule)

    def training(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """`run(tick, state, ...)` -> (state, results) as a function of the state on."""
        return partial(run, self.tick)

    def predict(self, state: Pipeline, inputs: Sequence[Array]) -> Sequence[Array]:
        """Predictions for rows of samples, as many as `batches` tells."""
        model = class_state.unstacked(self.tick.classes, state.model)
        functions, predictions = self.tick.functions.values(), self.tick.job.stages.predictions

        def one(*sample: Array) -> list[Array]:
            known = forward_through(functions, model, from_host(sample))
            return [known[source] for source in predictions]

        return jax.vmap(one)(*inputs)

    def model(self, state: Pipeline) -> TrainedModel:
        """What training changes; a row of a stack is fetched when it is asked for."""
        return class_state.model_of(self.tick.classes, state) if self.together else state.model

    def with_model(self, state: Pipeline, model: TrainedModel) -> Pipeline:
        """The state with a model of `model` in which something was changed."""
        if self.together:
            return class_state.with_model(state, model)
        return replace(state, model=model)

    def gathered(self, state: Pipeline, tick: int) -> Pipeline:
        """The state before tick `tick` in the form of a snapshot."""
        return class_state.gathered(self.tick.classes, self.tick.buffers, state, tick)

    def placed(self, whole: Pipeline, tick: int) -> Pipeline:
        """The inverse of `gathered`."""
        return class_state.placed(self.tick.classes, self.tick.buffers, whole, tick)


def one_device(job: Job, mode: Mode) -> OneDevice:
    """jax's default device, where equal stages are done together if many of a pipeline's are.

    Else there is little to compile less for what stacks cost.
    """
    together = mode == "pipelined" and 3 * len(batched_classes(job)) <= 2 * len(job.stages)
    return OneDevice(job, mode, together)


def batched_classes(job: Job) -> Classes:
    """Stages that are done together on jax's default device.

    On a CPU no more than its caches hold with velocities, predictions and gradients: 18 layers of
    256 x 256 and six of 256 x 1024 each as one take 1.12 times as long as in parts of 1 MiB.
    """
    return stage_classes(job, 3 << 19 if jax.default_backend() == "cpu" else None)


class ManyDevices:
    """A shard on each of several devices; see `OneDevice` for what it does."""

    def __init__(self, job: Job, shards: Shards, devices: Sequence[Any]) -> None:
        self._shards, self._devices, self.batches = shards, devices, len(shards)
        self.tick = ShardedTick(job, shards, devices)

    def of(self, job: Job) -> ManyDevices:
        return ManyDevices(job, self._shards, self._devices)

    def start(self) -> ShardedState:
        return layout.start(self.tick)

    def form(self) -> Pipeline:
        return form(self.tick.job, self.tick.schedule)

    def training(self, run: Callable[..., Any]) -> Callable[..., Any]:
        return self.tick.on_devices(partial(run, self.tick))

    def predict(self, state: ShardedState, inputs: Sequence[Array]) -> Sequence[Array]:
        """Predictions for rows of samples: a batch for each device, all under way at a time."""
        batches = [i.reshape(self.batches, -1, *i.shape[1:]) for i in inputs]
        run = self.tick.on_devices(lambda s, *given: (s, self.tick.predict(s, given)))
        return [rows.reshape(-1, *rows.shape[2:]) for rows in run(state, *batches)[1]]

    def model(self, state: ShardedState) -> TrainedModel:
        return layout.model_of(self.tick, state)

    def with_model(self, state: ShardedState, model: TrainedModel) -> ShardedState:
        return layout.with_model(state, model)

    def gathered(self, state: ShardedState, tick: int) -> Pipeline:
        return layout.gathered(self.tick, state, tick)

    def placed(self, whole: Pipeline, tick: int) -> ShardedState:
        return layout.placed(self.tick, whole, tick)


def form(job: Job, schedule: TickSchedule) -> Pipeline:
    """Shapes and dtypes of the state of single stages."""
    return jax.eval_shape(JaxTick(job, schedule, classes_of_one(job.stages)).start)
