"""Plain stochastic gradient descent in the same form as the tick: one whole sample per step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...compiler.plan.program import HOST, Source
from ..tick import wiring
from ..tick.fifo_depths import Key
from ..tick.job import Job
from ..tick.train_state import Model
from .loop import Op
from .stage import traced_stages
from .tick import Feed, Moment, Pipeline


class SequentialTick:
    """Each sample goes through all stages and back before the next one; see `PipelinedTick`."""

    def __init__(self, job: Job, model: Model, rate: Tensor) -> None:
        self.job = job
        self.stages = traced_stages(job, model, rate, lambda _: 0)
        self.lag = self.drain_ticks = 0
        self.rates_read = 1
        self.results = wiring.results(job.stages)
        self.result_lags = (0,) * len(self.results)
        self.readers = wiring.readers(job.stages)

    def update_lag(self, stage: int) -> int:
        """Ticks from a sample's feeding to its update of a stage."""
        return 0

    def buffers(self) -> dict[Key, Tensor]:
        """No FIFOs: nothing is in flight between steps."""
        return {}

    def __call__(self, old: Pipeline, feed: Feed, number: Op) -> tuple[Pipeline, list[Op]]:
        """Train on one sample."""
        moment, new = Moment.of(feed, number), old.model
        known = {Source(HOST, n): value for n, value in enumerate(moment.sample)}
        saved, gradients = {}, {}
        builder, rate = number.builder(), moment.rate(0)
        valid = Op.constant(builder, torch.tensor(True))
        for own in self.stages:
            stage = own.stage
            inputs = [known[source] for source in stage.inputs]
            result, _, state = own.forward(builder, old.model.of(stage), inputs, rate, valid)
            new = new.updated(Model({}, {}, state, {}, {}, {}, {}))
            known |= {Source(stage.index, n): value for n, value in enumerate(result.outputs)}
            saved[stage.index] = result.saved
        for own in reversed(self.stages):
            stage, model = own.stage, old.model.of(own.stage)
            weights = [model.weights[name] for name in stage.parameters]
            arrived = [
                self._arrived(output, known, gradients) for output in wiring.gradient_outputs(stage)
            ]
            kept = saved[stage.index]
            sent, changed = own.backward(builder, model, weights, kept, arrived, rate, valid)
            gradients |= zip(wiring.gradient_inputs(stage), sent, strict=True)
            new = new.updated(changed)
        return Pipeline(new, {}), [known[source] for source in self.results]

    def _arrived(
        self, output: Source, known: Mapping[Source, Op], gradients: Mapping[wiring.Reader, Op]
    ) -> Op:
        """The loss itself, or the sum over the output's readers in ascending stage index."""
        if output == self.job.stages.loss:
            return known[output]
        first, *others = [gradients[reader] for reader in self.readers[output]]
        return sum(others, start=first)
