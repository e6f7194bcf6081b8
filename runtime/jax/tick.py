"""The reference's tick as a pure JAX function from the pipeline's state to its next state.

Every stage computes in every tick, bubble or not; in a bubble its weights and its state are kept
by a select, and what it pushes into FIFOs is only ever read by other bubbles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax

from ...compiler.plan.program import HOST, Source, Stage
from ..tick import wiring
from ..tick.fifo_depths import Key, reaches
from ..tick.job import Job
from ..tick.shard import Part, whole
from ..tick.train_state import Model
from .fifo import Fifo, Traffic, all_known
from .stage import StageFunctions, loss_gradient, stage_functions, start_model

Array = Any


class Moment(NamedTuple):
    """What differs from tick to tick: its number, the samples fed so far, rates, and a sample.

    `rates` are the learning rates of consecutive updates, the first being update tick - lag.
    """

    tick: Array
    first_fed: Array
    last_fed: Array
    rates: Array
    sample: Sequence[Array]

    def holds(self, sample: Array) -> Array:
        """Whether `sample` was fed."""
        return (self.first_fed <= sample) & (sample <= self.last_fed)

    def after(self, values: Sequence[Array]) -> Array:
        """True, once all `values` are known; see `all_known`."""
        return all_known(values, self.tick)


@dataclass(frozen=True)
class Pipeline:
    """The model, and the FIFO buffers with everything in flight."""

    model: Model
    buffers: tuple[Array, ...]


jax.tree_util.register_dataclass(Pipeline, data_fields=("model", "buffers"), meta_fields=())


class PipelinedTick:
    """One tick of all stages, or of those of a part of the pipeline.

    `lag` and `rates_read`: a tick reads the rates of that many updates, from update tick - lag on.
    `result_lags`: a tick gives the loss and the predictions of samples tick - result_lag.
    `drain_ticks`: ticks after the last sample went in until its last update.
    """

    fifo = Fifo

    def __init__(self, job: Job, part: Part | None = None) -> None:
        self.job, self.part = job, part or whole(job.stages)
        self.functions = stage_functions(job, self.part.stages, job.stages.delay)
        self.lag = self.drain_ticks = job.stages.delay(0)
        self.rates_read = len(job.stages)
        self.results = wiring.results(job.stages)
        self.result_lags = tuple(map(wiring.entry_tick, self.results))
        self.readers = wiring.readers(job.stages)

    def update_lag(self, stage: int) -> int:
        """Ticks from a sample's feeding to its update of a stage."""
        return stage + self.job.stages.delay(stage)

    def start(self) -> Pipeline:
        """The start values of the job, and nothing in flight, on the host."""
        model = start_model(self.job, self.part.stages)
        return Pipeline(model, tuple(f.empty() for f in self.fifos.values()))

    def __call__(self, old: Pipeline, moment: Moment) -> tuple[Pipeline, tuple[Array, ...]]:
        """The next state, and what left the pipeline: the loss, then the predictions."""
        after, made = self.step(old, moment, {})
        return after, tuple(made[source] for source in self.results)

    def step(
        self, old: Pipeline, moment: Moment, arrivals: Mapping[Key, Array]
    ) -> tuple[Pipeline, Mapping[Key, Array]]:
        """The next state, and what the stages made: outputs by source, gradients by reader.

        `arrivals` are values by the same keys that come from other parts at this tick.
        """
        traffic = Traffic(self.fifos, old.buffers, moment.tick)
        new, outputs, gradients = old.model.successor(), {}, {}
        for number, value in enumerate(moment.sample):
            traffic.push(Source(HOST, number), value)
        for key, value in arrivals.items():
            traffic.push(key, value)
        for functions in self.functions:
            with jax.named_scope(functions.stage.name):
                outputs |= self._forward(functions, old.model, new, moment, traffic)
        for functions in reversed(self.functions):
            with jax.named_scope(functions.stage.name):
                gradients |= self._backward(functions, old.model, new, moment, traffic, outputs)
        return Pipeline(new, traffic.buffers()), {**outputs, **gradients}

    def _forward(
        self, functions: StageFunctions, old: Model, new: Model, moment: Moment, traffic: Traffic
    ) -> Mapping[Source, Array]:
        stage = functions.stage
        weights = functions.predict(old, moment.rates[stage.index])
        inputs = [self._input(source, stage, traffic) for source in stage.inputs]
        valid = moment.holds(moment.tick - stage.index)
        result = functions.forward(old, new, weights, inputs, valid)
        outputs = {Source(stage.index, n): value for n, value in enumerate(result.outputs)}
        kept = {("saved", stage.index, n): value for n, value in enumerate(result.saved)}
        stash = {("stash", stage.index, n): value for n, value in enumerate(weights)}
        for key, value in {**outputs, **kept, **stash}.items():
            traffic.push(key, value)
        return outputs

    def _backward(
        self,
        functions: StageFunctions,
        old: Model,
        new: Model,
        moment: Moment,
        traffic: Traffic,
        outputs: Mapping[Source, Array],
    ) -> Mapping[wiring.Reader, Array]:
        stage, delay = functions.stage, self.job.stages.delay(functions.stage.index)
        saved = [
            traffic.read(("saved", stage.index, n), delay)
            for n, _ in enumerate(stage.program.saved)
        ]
        weights = functions.weights(old)
        if self.job.rule.stash:
            weights = [
                traffic.read(("stash", stage.index, n), delay) for n, _ in enumerate(weights)
            ]
        needed = wiring.gradient_outputs(stage)
        arrived = [self._gradient(output, stage, traffic, outputs) for output in needed]
        valid = moment.holds(moment.tick - stage.index - delay)
        result, squares = functions.backward(old, new, weights, saved, arrived, valid)
        sent = dict(zip(wiring.gradient_inputs(stage), result.inputs, strict=True))
        for reader, value in sent.items():
            traffic.push(reader, value)
        read = [outputs[Source(stage.index, n)] for n, _ in enumerate(stage.program.outputs)]
        if self.job.rule.stash:
            read += [traffic.new["stash", stage.index, n] for n, _ in enumerate(weights)]
        valid = valid & moment.after([*read, *result.inputs])
        rate = moment.rates[stage.index]
        functions.update(old, new, result.parameters, squares, rate, valid)
        return sent

    def _input(self, source: Source, stage: Stage, traffic: Traffic) -> Array:
        age = stage.index - wiring.entry_tick(source)
        return traffic.read(source, age - self.part.hops(source))

    def _gradient(
        self, output: Source, stage: Stage, traffic: Traffic, outputs: Mapping[Source, Array]
    ) -> Array:
        """That of the loss, or the sum over the output's readers in ascending stage index."""
        if output == self.job.stages.loss:
            return loss_gradient(outputs[output])
        first, *others = [
            traffic.read(reader, reader[0] - stage.index - self.part.hops(reader))
            for reader in self.readers[output]
        ]
        return sum(others, start=first)

    @cached_property
    def fifos(self) -> dict[Key, Fifo]:
        """Of values by source, gradients by reader, and what forwards keep for backwards."""
        found = reaches(self.job.stages, self.part, self.job.rule.stash)
        return {key: self.fifo(reach.spec, reach.ticks) for key, reach in found.items()}
