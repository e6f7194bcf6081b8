"""Plain stochastic gradient descent in the same form as the tick: one whole sample per step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...compiler.plan.program import HOST, Source
from ..tick import wiring
from ..tick.job import Job
from ..tick.train_state import Model
from .stage import StageFunctions, loss_gradient, stage_functions, start_model
from .tick import Moment, Pipeline

Array = Any


class SequentialTick:
    """Each sample goes through all stages and back before the next one; see `PipelinedTick`."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.functions = stage_functions(job, job.stages.stages, lambda _: 0)
        self.lag = self.drain_ticks = 0
        self.rates_read = 1
        self.results = wiring.results(job.stages)
        self.result_lags = (0,) * len(self.results)
        self.readers = wiring.readers(job.stages)

    def update_lag(self, stage: int) -> int:
        """Ticks from a sample's feeding to its update of a stage."""
        return 0

    def start(self) -> Pipeline:
        """The start values of the job, on the host."""
        return Pipeline(start_model(self.job, self.job.stages.stages), ())

    def __call__(self, old: Pipeline, moment: Moment) -> tuple[Pipeline, tuple[Array, ...]]:
        """Train on the moment's sample."""
        new = old.model.successor()
        known = {Source(HOST, n): value for n, value in enumerate(moment.sample)}
        saved, gradients = {}, {}
        for functions in self.functions:
            stage = functions.stage
            weights = functions.predict(old.model, moment.rates[0])
            inputs = [known[source] for source in stage.inputs]
            result = functions.forward(old.model, new, weights, inputs, True)
            known |= {Source(stage.index, n): value for n, value in enumerate(result.outputs)}
            saved[stage.index] = result.saved
        for functions in reversed(self.functions):
            self._backward(functions, old.model, new, moment, saved, known, gradients)
        return Pipeline(new, ()), tuple(known[source] for source in self.results)

    def _backward(
        self,
        functions: StageFunctions,
        old: Model,
        new: Model,
        moment: Moment,
        saved: dict[int, Any],
        known: Mapping[Source, Array],
        gradients: dict[wiring.Reader, Array],
    ) -> None:
        stage = functions.stage
        needed = wiring.gradient_outputs(stage)
        arrived = [self._gradient(output, known, gradients) for output in needed]
        weights, kept = functions.weights(old), saved[stage.index]
        result, squares = functions.backward(old, new, weights, kept, arrived, True)
        gradients |= zip(wiring.gradient_inputs(stage), result.inputs, strict=True)
        functions.update(old, new, result.parameters, squares, moment.rates[0], True)

    def _gradient(
        self,
        output: Source,
        known: Mapping[Source, Array],
        gradients: dict[wiring.Reader, Array],
    ) -> Array:
        """That of the loss, or the sum over the output's readers in ascending stage index."""
        if output == self.job.stages.loss:
            return loss_gradient(known[output])
        first, *others = [gradients[reader] for reader in self.readers[output]]
        return sum(others, start=first)
