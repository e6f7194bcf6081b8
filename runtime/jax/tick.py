"""One tick of a schedule as a pure JAX function from the pipeline's state to its next state.

Every stage computes in every tick, bubble or not; in a bubble its weights and its state are kept
by a select, and what it pushes into FIFOs is only ever read by other bubbles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...compiler.plan.program import HOST, Source
from ...compiler.plan.schedule import TickSchedule, ValueKey
from ..tick.engine import ClassSteps, tick
from ..tick.job import Job
from ..tick.stage_classes import Classes, StageClass
from ..tick.train_state import Pipeline
from .classes.functions import class_functions
from .classes.state import stacked
from .stage import stage_functions, start_model
from .traffic import Buffers, JaxTraffic

Array = Any


class JaxMoment(NamedTuple):
    """What differs from tick to tick: its number, the samples fed so far, rates, and a sample.

    `rates` are the learning rates of consecutive updates, the first being update tick - lag.
    """

    schedule: TickSchedule
    tick: Array
    first_fed: Array
    last_fed: Array
    rates: Array
    sample: Sequence[Array]

    def holds(self, ages: Sequence[int]) -> Array | bool:
        """Whether the samples tick - age were fed; True where there are no bubbles."""
        if not self.schedule.has_bubbles:
            return True
        samples = self.tick - _column(ages)
        return (self.first_fed <= samples) & (samples <= self.last_fed)

    def rate(self, ages: Sequence[int]) -> Array:
        """The learning rates of the updates tick - age."""
        return self.rates[self.schedule.lag - _column(ages)]


class JaxTick:
    """A tick of all stages, or of those that `part` has steps of: the stages of a shard.

    The model of its state has the arrays of `classes`, see `classes/state.py`.
    """

    def __init__(
        self, job: Job, schedule: TickSchedule, classes: Classes, buffers: Buffers | None = None
    ) -> None:
        self.job, self.schedule, self.classes = job, schedule, classes
        self.buffers = buffers or Buffers(schedule, classes)
        self.functions = stage_functions(job, self.buffers.schedule)
        self._steps = [self._class_steps(own) for own in classes]

    def start(self) -> Pipeline:
        """The start values of the job, and nothing in flight, on the host."""
        stages = [stage for own in self.classes for stage in own.stages]
        return Pipeline(stacked(self.classes, start_model(self.job, stages)), self.buffers.empty())

    def __call__(self, old: Pipeline, moment: JaxMoment) -> tuple[Pipeline, tuple[Array, ...]]:
        """The next state, and what left the pipeline: the loss, then the predictions."""
        after, traffic = self.step(old, moment, {})
        return after, tuple(traffic.result(source) for source in self.job.stages.results)

    def step(
        self, old: Pipeline, moment: JaxMoment, arrivals: Mapping[ValueKey, Array]
    ) -> tuple[Pipeline, JaxTraffic]:
        """The next state, and what the stages made; `arrivals` come from other shards."""
        traffic = JaxTraffic(self.buffers, old.buffers, moment.tick)
        given = {Source(HOST, number): value for number, value in enumerate(moment.sample)}
        for key, value in {**given, **arrivals}.items():
            traffic.push((key,), value)
        model = tick(self._steps, old.model, moment, traffic)
        return Pipeline(model, traffic.buffers()), traffic

    def _class_steps(self, own: StageClass) -> ClassSteps:
        functions = class_functions([self.functions[index] for index in own.indices])
        part = self.buffers.schedule
        both = ({step.stage: step for step in steps} for steps in (part.forwards, part.backwards))
        forwards, backwards = (tuple(steps[index] for index in own.indices) for steps in both)
        return ClassSteps(own.first, forwards, backwards, functions)


def _column(numbers: Sequence[int]) -> np.ndarray | int:
    return numbers[0] if len(numbers) == 1 else np.array(numbers, np.int32)
