"""One tick of a schedule as operations of an XLA program.

Every stage computes in every tick, bubble or not; in a bubble its weights and its state are kept
by a select, and what it pushes into FIFOs is only ever read by other bubbles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...compiler.plan.program import HOST, Source
from ...compiler.plan.schedule import TickSchedule, ValueKey, spec_of
from ..tick.engine import ClassSteps, Keys, Reads, tick
from ..tick.job import Job
from ..tick.train_state import Pipeline, TrainedModel
from .loop import Op, at, put, scalar
from .stage import stage_functions, traced_stage

Array = Any
"""A tensor on the device outside of the program, an operation inside."""


class Feed(NamedTuple):
    """What a dispatch is given, one row per tick or update; `span` is (tick, first fed, last fed).

    `rates` are the learning rates of consecutive updates, the first being update tick - lag.
    """

    span: Array
    rates: Array
    inputs: Sequence[Array]


class XlaMoment:
    """Tick `number` of a dispatch."""

    def __init__(self, schedule: TickSchedule, feed: Feed, number: Op) -> None:
        self.schedule, self.rates, self.number = schedule, feed.rates, number
        start, self.first_fed, self.last_fed = (
            at(feed.span, scalar(number.builder(), n)) for n in range(3)
        )
        self.tick = start + number
        self.sample = [at(rows, number) for rows in feed.inputs]

    def holds(self, ages: Sequence[int]) -> Op | bool:
        """Whether sample tick - age was fed; True where there are no bubbles."""
        if not self.schedule.has_bubbles:
            return True
        sample = self.tick - scalar(self.tick.builder(), ages[0])
        return (self.first_fed <= sample) & (sample <= self.last_fed)

    def rate(self, ages: Sequence[int]) -> Op:
        """The learning rate of update tick - age."""
        first = scalar(self.number.builder(), self.schedule.lag - ages[0])
        return at(self.rates, self.number + first)


class XlaTick:
    """A tick of all stages; `model` and `rate` have the shapes and types to expect."""

    def __init__(self, job: Job, schedule: TickSchedule, model: TrainedModel, rate: Tensor) -> None:
        self.job, self.schedule = job, schedule
        steps = zip(schedule.forwards, schedule.backwards, strict=True)
        self._steps = [
            ClassSteps(
                functions.stage,
                (forward,),
                (backward,),
                traced_stage(functions, model, rate, schedule.has_bubbles),
            )
            for functions, (forward, backward) in zip(
                stage_functions(job, schedule), steps, strict=True
            )
        ]

    def buffers(self) -> tuple[Tensor, ...]:
        """FIFOs of zeros: for neighbours the value of the tick before, else a ring."""
        found = []
        for key, ticks in self.schedule.buffers.items():
            spec = spec_of(self.job.stages, key)
            found.append(torch.zeros(_slots(ticks) + spec.shape, dtype=spec.torch_dtype))
        return tuple(found)

    def __call__(self, old: Pipeline, feed: Feed, number: Op) -> tuple[Pipeline, list[Op]]:
        """The next state, and what left the pipeline: the loss, then the predictions."""
        moment = XlaMoment(self.schedule, feed, number)
        traffic = XlaTraffic(self.schedule, old.buffers, moment.tick)
        for position, value in enumerate(moment.sample):
            traffic.push((Source(HOST, position),), value)
        model = tick(self._steps, old.model, moment, traffic)
        results = [traffic.made[source] for source in self.job.stages.results]
        return Pipeline(model, tuple(traffic.new.values())), results


class XlaTraffic:
    """All FIFOs during one tick: what was in them, and what has been pushed so far.

    A ring of one slot more than its values get ticks old is read after the push of its tick, which
    lets XLA write in place.
    """

    def __init__(self, schedule: TickSchedule, buffers: Sequence[Array], tick: Op) -> None:
        self.ticks, self.tick = schedule.buffers, tick
        self.old: dict[ValueKey, Op] = dict(zip(self.ticks, buffers, strict=True))
        self.new, self.made = dict(self.old), {}

    def push(self, keys: Keys, value: Op) -> None:
        """Write this tick's value of a key."""
        (key,) = keys
        self.made[key] = value
        if key in self.ticks:
            is_ring = bool(_slots(self.ticks[key]))
            self.new[key] = put(self.old[key], value, self._slot(key, 0)) if is_ring else value

    def read(self, reads: Reads) -> Op:
        """The value of a key that was pushed so many ticks ago."""
        ((key, age),) = reads
        if age == 0:
            return self.made[key]
        is_ring = bool(_slots(self.ticks[key]))
        return at(self.new[key], self._slot(key, age)) if is_ring else self.old[key]

    def known(self, keys: Sequence[Keys], values: Sequence[Op]) -> Op:
        """True, once the outputs and stashed weights among `keys` and all `values` are known.

        XLA cannot tell: no tick is below zero, but it does not know that.
        """
        made = [self.made[key] for own in keys for key in own if isinstance(key, Source)]
        stashes = [
            self.new[key]
            for own in keys
            for key in own
            if isinstance(key, tuple) and key[0] == "stash" and key in self.new
        ]
        never = self.tick < scalar(self.tick.builder(), 0)
        found = never
        for value in (*made, *stashes, *values):
            found = found | (never & _is_positive(value))
        return found ^ Op.constant(self.tick.builder(), torch.tensor(True))

    def _slot(self, key: ValueKey, age: int) -> Op:
        builder, slots = self.tick.builder(), self.ticks[key] + 1
        return (self.tick + scalar(builder, slots - age)) % scalar(builder, slots)


def _is_positive(array: Op) -> Op:
    """Whether the first entry of an array is."""
    sizes = list(array.shape().sizes)
    first = array.slice([0] * len(sizes), [1] * len(sizes), [1] * len(sizes)).reshape([])
    return first > Op.zero(array.builder(), array.shape().dtype)


def _slots(ticks: int) -> tuple[int, ...]:
    return () if ticks <= 1 else (ticks + 1,)
