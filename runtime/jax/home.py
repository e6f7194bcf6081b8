"""Where the state of an executor lives: on one device as it is, or split over several.

Both homes take a pipeline's state and give it back in the one form that snapshots have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax

from ..tick.job import Job, Mode
from ..tick.shard import Groups
from ..tick.stage_classes import groups
from ..tick.train_state import Model
from .classes import state as group_state
from .classes.tick import GroupedTick
from .forward import predict
from .sequential import SequentialTick
from .shards import layout as regroup
from .shards.arrays import own_copy
from .shards.tick import SplitState, SplitTick
from .tick import Pipeline, PipelinedTick

Array = Any
_TICKS = {"pipelined": PipelinedTick, "sequential": SequentialTick}


class OneDevice:
    """All stages on jax's default device."""

    batches = 1

    def __init__(self, job: Job, mode: Mode) -> None:
        self._mode: Mode = mode
        self.tick = _TICKS[mode](job)

    def of(self, job: Job) -> OneDevice:
        """The same for another job."""
        return OneDevice(job, self._mode)

    def start(self) -> Pipeline:
        """The start values of the job, and nothing in flight."""
        return jax.tree.map(own_copy, self.tick.start())

    def form(self) -> Pipeline:
        """Shapes and dtypes of all that a snapshot holds."""
        return jax.eval_shape(self.tick.start)

    def training(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """`run(tick, state, ...)` -> (state, results) as a function of the state on."""
        return partial(run, self.tick)

    def predict(self, state: Pipeline, inputs: Sequence[Array]) -> Sequence[Array]:
        """Predictions for rows of samples, as many as `batches` tells."""
        return predict(self.tick.job, self.tick.functions, state.model, inputs)

    def model(self, state: Pipeline) -> Model:
        """What training changes."""
        return state.model

    def with_model(self, state: Pipeline, model: Model) -> Pipeline:
        """The state with a model of `model` in which something was changed."""
        return replace(state, model=model)

    def gathered(self, state: Pipeline, tick: int) -> Pipeline:
        """The state before tick `tick` in the form of a snapshot."""
        return state

    def placed(self, whole: Pipeline, tick: int) -> Pipeline:
        """The inverse of `gathered`."""
        return jax.tree.map(own_copy, whole)


class OneDeviceByGroups(OneDevice):
    """The same with equal stages done together."""

    def __init__(self, job: Job) -> None:
        self.tick = GroupedTick(job)

    def of(self, job: Job) -> OneDeviceByGroups:
        return OneDeviceByGroups(job)

    def form(self) -> Pipeline:
        return jax.eval_shape(PipelinedTick(self.tick.job).start)

    def predict(self, state: Pipeline, inputs: Sequence[Array]) -> Sequence[Array]:
        model = group_state.unstacked(self.tick.groups, state.model)
        return predict(self.tick.job, self.tick.functions, model, inputs)

    def model(self, state: Pipeline) -> Model:
        """What training changes, fetched when it is asked for."""
        return group_state.model_of(self.tick, state)

    def with_model(self, state: Pipeline, model: Model) -> Pipeline:
        return group_state.with_model(state, model)

    def gathered(self, state: Pipeline, tick: int) -> Pipeline:
        return group_state.gathered(self.tick, state, tick)

    def placed(self, whole: Pipeline, tick: int) -> Pipeline:
        return group_state.placed(self.tick, whole, tick)


def one_device(job: Job, mode: Mode) -> OneDevice:
    """jax's default device, where equal stages are done together if many of a pipeline's are.

    Else there is little to compile less for what stacks cost.
    """
    if mode == "pipelined" and 3 * len(groups(job)) <= 2 * len(job.stages):
        return OneDeviceByGroups(job)
    return OneDevice(job, mode)


class ManyDevices:
    """A group of stages on each of several devices; see `OneDevice` for what it does."""

    def __init__(self, job: Job, groups: Groups, devices: Sequence[Any]) -> None:
        self.tick, self._groups, self._devices = SplitTick(job, groups, devices), groups, devices
        self.batches = len(groups)

    def of(self, job: Job) -> ManyDevices:
        return ManyDevices(job, self._groups, self._devices)

    def start(self) -> SplitState:
        return regroup.start(self.tick)

    def form(self) -> Pipeline:
        return jax.eval_shape(self.tick.whole.start)

    def training(self, run: Callable[..., Any]) -> Callable[..., Any]:
        return self.tick.on_devices(partial(run, self.tick))

    def predict(self, state: SplitState, inputs: Sequence[Array]) -> Sequence[Array]:
        """Predictions for rows of samples: a batch for each device, all under way at a time."""
        batches = [i.reshape(self.batches, -1, *i.shape[1:]) for i in inputs]
        run = self.tick.on_devices(lambda s, *given: (s, self.tick.predict(s, given)))
        return [rows.reshape(-1, *rows.shape[2:]) for rows in run(state, *batches)[1]]

    def model(self, state: SplitState) -> Model:
        return regroup.model_of(self.tick, state)

    def with_model(self, state: SplitState, model: Model) -> SplitState:
        return regroup.with_model(state, model)

    def gathered(self, state: SplitState, tick: int) -> Pipeline:
        return regroup.gathered(self.tick, state, tick)

    def placed(self, whole: Pipeline, tick: int) -> SplitState:
        return regroup.placed(self.tick, whole, tick)
