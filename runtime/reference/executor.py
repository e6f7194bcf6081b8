"""The meaning of a tick, in plain torch. Every executor is tested against this file.

S stages, samples i = 0, 1, 2, ... At tick t, stage s does, with the weights and state it holds at
the start of the tick:

1. the forward of sample i = t - s, at the weights its update rule predicts;
2. the backward of sample j = t - 2(S-1) + s, at its weights now (or those that the forward of j
   used, if the rule stashes), with what the forward of j saved; a reversible stage saved next to
   nothing of j, it is given its outputs back by the backwards of later stages, rebuilds its inputs
   at the weights of its backward, and gives them back in turn;
3. the update of its parameters with that gradient, at learning rate schedule(j);
4. if that was update number n of the stage and the mask schedule has an update at step n, the
   change of its masks: pruned weights and their optimizer state become zero at once.

So the gradient of a sample comes back D_s = 2(S-1-s) updates after its forward. A sample that was
not fed is a bubble: no arithmetic, no update, no state change. An update whose gradient is not
finite is skipped and is not counted. Weights in flight stay as their forward used them: stashed
ones are those of an older mask, predictions of pruned weights are zero as soon as the state is.

A stage reads only what other stages made at earlier ticks. Values are kept here by sample number,
which makes that so by itself: a sample is at each stage at another tick, and only the last stage
has its forward and its backward at the same tick. Which slot of which FIFO that is, is the
business of faster executors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ...compiler.plan.program import HOST, Source, Stage
from ...compiler.witness.evaluation import without_draws
from ..tick.job import Results, Skips, sample_arrays, to_numpy, to_rows, to_stream, to_tensor
from ..tick.masks import Masked
from ..tick.row_major import row_major
from .state import ReferenceState


class ReferenceExecutor(ReferenceState):
    """Pipelined backpropagation, one tick per sample."""

    def feed(self, inputs: Sequence[np.ndarray]) -> Results:
        """Feed samples, one tick each; returns what came out meanwhile."""
        for sample in zip(*sample_arrays(self.job.stages, inputs), strict=True):
            for number, value in enumerate(sample):
                if Source(HOST, number) in self.values:
                    # A copy: where numpy put a row must not decide how torch adds it up.
                    spec = self.job.stages.model_inputs[number]
                    self.values[Source(HOST, number)][self.tick] = to_tensor(value, spec)
            self.fed = range(self.fed.start, self.tick + 1)
            self._step()
        return self._take_results()

    def flush(self) -> Results:
        """Stop feeding and tick until the pipeline is empty; the next sample starts a new fill."""
        for _ in range(self.job.stages.delay(0)):
            self._step()
        self.tick = self.fed.stop
        self.fed = range(self.tick, self.tick)
        return self._take_results()

    def evaluate(
        self, inputs: Sequence[np.ndarray], statistics: Mapping[str, Tensor] | None = None
    ) -> tuple[np.ndarray, ...]:
        """Predictions (N, ...) with the current weights and normalization state."""
        stages, rows = without_draws(self.job.stages).stages, []
        tensors = {**self.tensors(), **(statistics or {})}
        for sample in zip(*sample_arrays(self.job.stages, inputs), strict=True):
            values = map(to_tensor, sample, self.job.stages.model_inputs)
            known = {Source(HOST, n): value for n, value in enumerate(values)}
            for stage in stages:
                own = [tensors[name] for name in (*stage.parameters, *stage.forward_state)]
                given = row_major(known[source] for source in stage.inputs)
                outputs = stage.program.forward_result(stage.program.forward(*own, *given)).outputs
                known |= {Source(stage.index, n): value for n, value in enumerate(outputs)}
            rows.append([to_numpy(known[source]) for source in self.job.stages.predictions])
        return tuple(to_rows(column) for column in zip(*rows, strict=True))

    def tensors(self) -> dict[str, Tensor]:
        """Current parameters and normalization state by model name."""
        return {name: value.clone() for name, value in {**self.weights, **self.state}.items()}

    def statistics(self) -> dict[str, Tensor]:
        """Current statistics of normalizations by model name."""
        return {name: self.state[name].clone() for name in self.job.statistics}

    def masks(self) -> dict[str, Tensor]:
        """Current masks by parameter name."""
        return {name: mask.clone() for name, mask in self.mask.items()}

    def skips(self) -> tuple[Skips, ...]:
        """For each stage, the updates skipped because a gradient or the loss was not finite."""
        return tuple(self.skipped)

    def _step(self) -> None:
        """One tick."""
        for stage in self.stages:
            i = self.tick - stage.index
            j = i - self.job.stages.delay(stage.index)
            delay, rate = self.job.stages.delay(stage.index), self.job.rate(j)
            if i in self.fed:
                self._forward(stage, i, delay, rate)
            if j in self.fed:
                self._backward(stage, j, delay, rate)
        self.tick += 1

    def _forward(self, stage: Stage, sample: int, delay: int, rate: float) -> None:
        rule = self.job.rule
        weights = [
            rule.predict(self.weights[name], self.optimizer[name], delay, rate, torch)
            for name in stage.parameters
        ]
        state = [self.state[name] for name in stage.forward_state]
        inputs = [self._read(source, stage, sample) for source in stage.inputs]
        values = stage.program.forward(*weights, *state, *inputs)
        result = stage.program.forward_result(values)
        self._advance(stage.forward_state, result.state)
        self.saved[stage.index][sample] = row_major(result.saved)
        if rule.stash:
            self.stashed[stage.index][sample] = weights
        for number, value in enumerate(row_major(result.outputs)):
            for kept in (self.values, self.results):
                if Source(stage.index, number) in kept:
                    kept[Source(stage.index, number)][sample] = value

    def _backward(self, stage: Stage, sample: int, delay: int, rate: float) -> None:
        weights = [self.weights[name] for name in stage.parameters]
        if self.job.rule.stash:
            weights = self.stashed[stage.index].pop(sample)
        state = [self.state[name] for name in stage.backward_state]
        saved = self.saved[stage.index].pop(sample)
        arrived = [self._gradient(out, stage, sample) for out in stage.gradient_outputs]
        given_back = [self._given_back(source, stage, sample) for source in stage.arriving]
        values = stage.program.backward(*weights, *state, *saved, *arrived, *given_back)
        result = stage.program.backward_result(values)
        self._advance(stage.backward_state, result.state)
        for key, value in zip(stage.rebuilt, row_major(result.rebuilt), strict=True):
            self.rebuilt[key][sample] = value
        arriving = row_major(result.inputs)
        for reader, value in zip(stage.gradient_inputs, arriving, strict=True):
            self.gradients[reader][sample] = value
        if stage.trained:
            self._update(stage, sample, result.parameters, delay, rate)

    def _advance(self, names: Sequence[str], values: Sequence[Tensor]) -> None:
        if all(bool(torch.isfinite(value).all()) for value in values):
            self.state.update(zip(names, values, strict=True))

    def _read(self, source: Source, stage: Stage, sample: int) -> Tensor:
        """A stage's input; whoever reads it last takes it out."""
        is_last = self.readers[source][-1][0] == stage.index
        return self.values[source].pop(sample) if is_last else self.values[source][sample]

    def _given_back(self, source: Source, stage: Stage, sample: int) -> Tensor:
        """A value as a later stage rebuilt it; the earliest stage to read it takes it out."""
        by_sample = self.rebuilt[self.job.stages.rebuilt[source]]
        is_last = self.job.stages.asking[source][0] == stage.index
        return by_sample.pop(sample) if is_last else by_sample[sample]

    def _gradient(self, output: Source, stage: Stage, sample: int) -> Tensor:
        """1 for the loss, else the sum over the output's readers in ascending stage index."""
        if output == self.job.stages.loss:
            loss = self.results[output][sample]
            return torch.where(torch.isfinite(loss), torch.ones_like(loss), torch.nan)
        first, *others = [self.gradients[r].pop(sample) for r in self.readers[output]]
        return sum(others, start=first)

    def _update(
        self, stage: Stage, sample: int, gradients: Sequence[Tensor], delay: int, rate: float
    ) -> None:
        masks = [self.mask.get(name) for name in stage.trained]
        masked = [  # a select, not a product: NaN times zero is NaN
            gradient if mask is None else torch.where(mask, gradient, 0)
            for gradient, mask in zip(gradients, masks, strict=True)
        ]
        usable, is_finite = self.job.guard(masked, torch)
        self.skipped[stage.index] = self.skipped[stage.index].after(not is_finite)
        if not is_finite:
            return
        for name, gradient in zip(stage.trained, usable, strict=True):
            given = gradient, self.optimizer[name], delay, rate, torch, True, self.mask.get(name)
            after = self.job.rule.update(self.weights[name], *given)
            self.weights[name], self.optimizer[name] = after
        step = sample + 1 - self.skipped[stage.index].total
        for name, gradient in zip(stage.trained, gradients, strict=True):
            if name in self.job.mask_rules:
                self._update_mask(name, gradient, step)

    def _update_mask(self, name: str, gradient: Tensor, step: int) -> None:
        """What update number `step` of a stage does to the mask of a parameter."""
        rule = self.job.mask_rules[name]
        if rule.collects(step):
            self.collected[name] = self.collected[name] + gradient
        if not rule.due(step):
            return
        before = Masked(self.mask[name], self.weights[name], self.optimizer[name])
        after = before.updated(rule, self.collected.get(name), step, torch)
        self.mask[name], self.weights[name], self.optimizer[name] = after
        if rule.needs_gradient:
            self.collected[name] = torch.zeros_like(self.weights[name])

    def _take_results(self) -> Results:
        streams = [to_stream(self.results[s]) for s in self.job.stages.results]
        for values in self.results.values():
            values.clear()
        return Results(streams[0], tuple(streams[1:]))


class SequentialReference(ReferenceExecutor):
    """Plain stochastic gradient descent: each sample goes through all stages before the next."""

    def _step(self) -> None:
        sample, rate = self.tick, self.job.rate(self.tick)
        for stage in self.stages:
            if sample in self.fed:
                self._forward(stage, sample, 0, rate)
        for stage in reversed(self.stages):
            if sample in self.fed:
                self._backward(stage, sample, 0, rate)
        self.tick += 1
