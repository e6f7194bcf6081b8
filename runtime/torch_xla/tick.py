"""The tick of `runtime/reference/executor.py` as operations of an XLA program, stage by stage.

Every stage computes in every tick, bubble or not; in a bubble its weights and its state are kept
by a select, and what it pushes into FIFOs is only ever read by other bubbles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ...compiler.plan.program import HOST, Source, Stage
from ..tick import wiring
from ..tick.fifo_depths import Key, Reach, reaches
from ..tick.job import Job
from ..tick.shard import whole
from ..tick.train_state import Model
from .loop import Op, at, put, scalar
from .stage import TracedStage, traced_stages

Array = Any
"""A tensor on the device outside of the program, an operation inside."""


class Feed(NamedTuple):
    """What a dispatch is given, one row per tick or update; `span` is (tick, first fed, last fed).

    `rates` are the learning rates of consecutive updates, the first being update tick - lag.
    """

    span: Array
    rates: Array
    inputs: Sequence[Array]


@dataclass(frozen=True)
class Pipeline:
    """The model, and the FIFO buffers with everything in flight."""

    model: Model
    buffers: Mapping[Key, Array]


pytree.register_dataclass(Pipeline)


class Moment(NamedTuple):
    """One tick of a dispatch, the `number`-th: its tick, the samples fed so far, and its sample."""

    number: Op
    tick: Op
    first_fed: Op
    last_fed: Op
    rates: Op
    sample: Sequence[Op]

    @staticmethod
    def of(feed: Feed, number: Op) -> Moment:
        """Tick `number` of a dispatch."""
        start, first, last = (at(feed.span, scalar(number.builder(), n)) for n in range(3))
        sample = [at(rows, number) for rows in feed.inputs]
        return Moment(number, start + number, first, last, feed.rates, sample)

    def ago(self, ticks: int) -> Op:
        """The number of the tick that many before this one, and of the sample fed then."""
        return self.tick - scalar(self.tick.builder(), ticks)

    def holds(self, sample: Op) -> Op:
        """Whether `sample` was fed."""
        return (self.first_fed <= sample) & (sample <= self.last_fed)

    def rate(self, update: int) -> Op:
        """The learning rate of update tick - lag + `update`."""
        return at(self.rates, self.number + scalar(self.number.builder(), update))


class PipelinedTick:
    """One tick of all stages.

    `lag` and `rates_read`: a tick reads the rates of that many updates, from update tick - lag on.
    `result_lags`: a tick gives the loss and the predictions of samples tick - result_lag.
    `drain_ticks`: ticks after the last sample went in until its last update.
    """

    def __init__(self, job: Job, model: Model, rate: Tensor) -> None:
        self.job = job
        self.stages = traced_stages(job, model, rate, job.stages.delay)
        self.lag = self.drain_ticks = job.stages.delay(0)
        self.rates_read = len(job.stages)
        self.results = wiring.results(job.stages)
        self.result_lags = tuple(map(wiring.entry_tick, self.results))
        self.readers = wiring.readers(job.stages)
        self.fifos = reaches(job.stages, whole(job.stages), job.rule.stash)

    def update_lag(self, stage: int) -> int:
        """Ticks from a sample's feeding to its update of a stage."""
        return stage + self.job.stages.delay(stage)

    def buffers(self) -> dict[Key, Tensor]:
        """FIFOs of zeros: for neighbours the value of the tick before, else a ring."""
        return {
            key: torch.zeros(_slots(fifo) + fifo.spec.shape, dtype=fifo.spec.torch_dtype)
            for key, fifo in self.fifos.items()
        }

    def __call__(self, old: Pipeline, feed: Feed, number: Op) -> tuple[Pipeline, list[Op]]:
        """The next state, and what left the pipeline: the loss, then the predictions."""
        moment = Moment.of(feed, number)
        traffic = _Traffic(self.fifos, old.buffers, moment)
        new = old.model
        outputs: dict[Source, Op] = {}
        for value, entry in enumerate(moment.sample):
            traffic.push(Source(HOST, value), entry)
        for own in self.stages:
            made, state = self._forward(own, old.model, moment, traffic)
            new = new.updated(state)
            outputs |= made
        for own in reversed(self.stages):
            new = new.updated(self._backward(own, old.model, moment, traffic, outputs))
        return Pipeline(new, traffic.new), [outputs[source] for source in self.results]

    def _forward(
        self, own: TracedStage, old: Model, moment: Moment, traffic: _Traffic
    ) -> tuple[Mapping[Source, Op], Model]:
        stage = own.stage
        ages = [stage.index - wiring.entry_tick(source) for source in stage.inputs]
        inputs = [traffic.read(*entry) for entry in zip(stage.inputs, ages, strict=True)]
        valid = moment.holds(moment.ago(stage.index))
        given = (old.of(stage), inputs, moment.rate(stage.index), valid)
        result, weights, state = own.forward(moment.tick.builder(), *given)
        outputs = {Source(stage.index, n): value for n, value in enumerate(result.outputs)}
        kept = {("saved", stage.index, n): value for n, value in enumerate(result.saved)}
        stash = {("stash", stage.index, n): value for n, value in enumerate(weights)}
        for key, value in {**outputs, **kept, **stash}.items():
            traffic.push(key, value)
        return outputs, Model({}, {}, state, {}, {}, {}, {})

    def _backward(
        self,
        own: TracedStage,
        old: Model,
        moment: Moment,
        traffic: _Traffic,
        outputs: Mapping[Source, Op],
    ) -> Model:
        stage, model = own.stage, old.of(own.stage)
        weights = [model.weights[name] for name in stage.parameters]
        if self.job.rule.stash:
            weights = traffic.kept("stash", own, len(weights))
        arrived = [
            self._arrived(output, stage, traffic, outputs)
            for output in wiring.gradient_outputs(stage)
        ]
        saved = traffic.kept("saved", own, len(stage.program.saved))
        valid = moment.holds(moment.ago(stage.index + own.delay))
        given = (model, weights, saved, arrived, moment.rate(stage.index), valid)
        gradients, changed = own.backward(moment.tick.builder(), *given)
        for reader, value in zip(wiring.gradient_inputs(stage), gradients, strict=True):
            traffic.push(reader, value)
        return changed

    def _arrived(
        self, output: Source, stage: Stage, traffic: _Traffic, outputs: Mapping[Source, Op]
    ) -> Op:
        """The loss itself, or the sum over the output's readers in ascending stage index."""
        if output == self.job.stages.loss:
            return outputs[output]
        first, *others = [traffic.read(r, r[0] - stage.index) for r in self.readers[output]]
        return sum(others, start=first)


class _Traffic:
    """All FIFOs during one tick: what was in them, and what has been pushed so far.

    A ring of reach + 1 slots is read after the push of its tick, which lets XLA write in place.
    """

    def __init__(
        self, fifos: Mapping[Key, Reach], buffers: Mapping[Key, Array], moment: Moment
    ) -> None:
        self.fifos, self.moment, self.old, self.new = fifos, moment, buffers, dict(buffers)

    def push(self, key: Key, value: Op) -> None:
        """Push this tick's value, if anyone reads that FIFO."""
        if key not in self.fifos:
            return
        fifo = self.fifos[key]
        is_ring = bool(_slots(fifo))
        self.new[key] = put(self.old[key], value, self._slot(fifo, 0)) if is_ring else value

    def read(self, key: Key, age: int) -> Op:
        """The value pushed `age` ticks ago; push before reading."""
        fifo = self.fifos[key]
        if _slots(fifo):
            return at(self.new[key], self._slot(fifo, age))
        return self.old[key] if age else self.new[key]

    def kept(self, kind: str, own: TracedStage, count: int) -> list[Op]:
        """What the forward of the sample that comes back to a stage kept."""
        return [self.read((kind, own.stage.index, n), own.delay) for n in range(count)]

    def _slot(self, fifo: Reach, age: int) -> Op:
        builder, slots = self.moment.tick.builder(), fifo.ticks + 1
        return (self.moment.tick + scalar(builder, slots - age)) % scalar(builder, slots)


def _slots(fifo: Reach) -> tuple[int, ...]:
    return () if fifo.ticks <= 1 else (fifo.ticks + 1,)
