"""One stage's forward, backward and update, on arrays of torch or jax.numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ...backend.optim import Factors, sum_of_squares
from ...backend.optim.compensation import Delay, DelayConstants
from ...backend.optim.rule import Lookahead, chosen
from ...compiler.plan.program import HOST, Source, Stage
from .job import Job
from .train_state import Array, NamedArrays, TrainedModel


class Programs(NamedTuple):
    """A stage's programs as functions of arrays that return their results.

    `backward` returns the sums of squares of the parameters' gradients, or their factors, beside
    its results; `evaluation` is the forward without draws.
    """

    forward: Callable[..., Sequence[Array]]
    backward: Callable[..., tuple[Sequence[Array], Sequence[Factors | Array]]]
    evaluation: Callable[..., Sequence[Array]]


class StageForward(NamedTuple):
    """What a forward made; the state is that after it, weights are those it used, if stashed."""

    outputs: Sequence[Array]
    saved: Sequence[Array]
    weights: Sequence[Array]
    state: NamedArrays


class StageBackward(NamedTuple):
    """What a backward made: gradients, of each parameter's the sum of squares or the factors, and
    the inputs that it gives back."""

    parameters: Sequence[Array]
    inputs: Sequence[Array]
    rebuilt: Sequence[Array]
    squares: Sequence[Factors | Array]
    state: NamedArrays


@dataclass(frozen=True)
class StageFunctions:
    """What a stage does, as functions of its part of the model as it was before the tick.

    `xp` is torch or jax.numpy. `valid` is a boolean scalar, false in a bubble, which changes
    nothing; or the constant True where there are no bubbles. `rate` is a scalar. With `ahead` the
    forward program is given its result for predicted weights, where the rule has a lookahead.
    """

    job: Job
    stage: Stage
    delay: Delay
    programs: Programs
    xp: Any
    ahead: Callable[[Array, Lookahead], Any] | None = None

    def forward(
        self, model: TrainedModel, inputs: Sequence[Array], rate: Array, valid: Array | bool
    ) -> StageForward:
        """The forward program at the weights that the update rule predicts."""
        weights = [self._predicted(model, name, rate) for name in self.stage.parameters]
        names = self.stage.forward_state
        values = self.programs.forward(*weights, *(model.state[name] for name in names), *inputs)
        outputs, state, saved = self.stage.program.forward_result(values)
        stash = weights if self.job.rule.stash else []
        return StageForward(outputs, saved, stash, self._advanced(model, names, state, valid))

    def backward(
        self,
        model: TrainedModel,
        weights: Sequence[Array],
        arguments: Sequence[Array],
        valid: Array | bool,
    ) -> StageBackward:
        """The backward program, of what was saved, the outputs' gradients, and what is given back.

        In place of the gradient of the loss the loss is given.
        """
        names, saved = self.stage.backward_state, len(self.stage.program.saved)
        outputs = self.stage.gradient_outputs
        arrived = zip(outputs, arguments[saved : saved + len(outputs)], strict=True)
        gradients = [
            self._loss_gradient(value) if output == self.job.stages.loss else value
            for output, value in arrived
        ]
        state = [model.state[name] for name in names]
        back = arguments[saved + len(outputs) :]
        given = (*weights, *state, *arguments[:saved], *gradients, *back)
        values, squares = self.programs.backward(*given)
        parameters, inputs, state, rebuilt = self.stage.program.backward_result(values)
        return StageBackward(
            parameters, inputs, rebuilt, squares, self._advanced(model, names, state, valid)
        )

    def update(
        self,
        model: TrainedModel,
        gradients: Sequence[Array],
        squares: Sequence[Factors | Array],
        rate: Array,
        valid: Array | bool,
    ) -> TrainedModel:
        """What the gradients change, unless one of them is not finite."""
        usable, is_finite = self._guarded(model, gradients, squares)
        changed, key = TrainedModel.empty(), str(self.stage.index)
        counts = self._counted(model.skips[key], is_finite)
        changed.skips[key] = self._kept(valid, counts, model.skips[key])
        valid = is_finite if valid is True else valid & is_finite
        for name, gradient, square in zip(self.stage.trained, usable, squares, strict=True):
            weight, state = model.weights[name], model.optimizer[name]
            given = self._typed(weight), self._own_rate(rate, weight), self.xp, valid
            mask = model.masks.get(name)
            factors = square if isinstance(square, Factors) and mask is None else None
            after = self.job.rule.update(weight, gradient, state, *given, mask, factors)
            changed.weights[name], changed.optimizer[name] = after
        if key in model.steps:
            self._collect(model, changed, gradients, valid)
        return changed

    def evaluate(self, model: TrainedModel, inputs: Sequence[Array]) -> Sequence[Array]:
        """Outputs of the forward with the weights as they are, drawing nothing."""
        names = (*self.stage.parameters, *self.stage.forward_state)
        own = {**model.weights, **model.state}
        values = self.programs.evaluation(*(own[name] for name in names), *inputs)
        return self.stage.program.forward_result(values).outputs

    def _predicted(self, model: TrainedModel, name: str, rate: Array) -> Any:
        weight, rule = model.weights[name], self.job.rule
        given = model.optimizer[name], self._typed(weight), self._own_rate(rate, weight)
        found = rule.lookahead(*given)
        if self.ahead is None or found is None:
            return rule.predict(weight, *given, self.xp)
        return self.ahead(weight, found)

    def _typed(self, weight: Array) -> Delay:
        """Constants that are arrays get a weight's type, as numbers do by themselves."""
        if isinstance(self.delay, int):
            return self.delay
        numbers = (
            c if isinstance(c, int | float) else self.xp.asarray(c, dtype=weight.dtype)
            for c in self.delay
        )
        return DelayConstants(*numbers)

    def _own_rate(self, rate: Array, weight: Array) -> Array:
        return self.xp.asarray(rate, dtype=weight.dtype)

    def _loss_gradient(self, loss: Array) -> Array:
        """1, or NaN for a loss that is not finite: every stage then skips the sample's update."""
        xp = self.xp
        return xp.where(xp.isfinite(loss), xp.ones_like(loss), xp.nan)

    def _advanced(
        self, model: TrainedModel, names: Sequence[str], new: Sequence[Array], valid: Array | bool
    ) -> NamedArrays:
        """Normalization state after a sample: as it was in a bubble or if not all is finite."""
        for value in new:
            valid = self.xp.isfinite(value).all() & valid
        named = zip(names, new, strict=True)
        return {name: self._kept(valid, value, model.state[name]) for name, value in named}

    def _guarded(
        self, model: TrainedModel, gradients: Sequence[Array], squares: Sequence[Factors | Array]
    ) -> tuple[list[Array], Array]:
        """The gradients to use, masked, and whether they may be used."""
        masked = list(gradients)
        own = [s.square(self.xp) if isinstance(s, Factors) else s for s in squares]
        for number, name in enumerate(self.stage.trained):
            if name in model.masks:  # a select, not a product: NaN times zero is NaN
                masked[number] = self.xp.where(model.masks[name], masked[number], 0)
                own[number] = sum_of_squares(masked[number], self.xp)
        return self.job.guard(masked, self.xp, own)

    def _counted(self, skips: Array, is_finite: Array) -> Array:
        """(total, current, longest) after one more sample, as `job.Skips` counts."""
        total, current, longest = skips
        current = self.xp.where(is_finite, 0, current + 1)
        return self.xp.stack([total + ~is_finite, current, self.xp.maximum(longest, current)])

    def _collect(
        self,
        model: TrainedModel,
        changed: TrainedModel,
        gradients: Sequence[Array],
        valid: Array | bool,
    ) -> None:
        """Count the update, and add up dense gradients for the mask updates to come."""
        key = str(self.stage.index)
        step = model.steps[key] + 1
        changed.steps[key] = self._kept(valid, step, model.steps[key])
        for name, gradient in zip(self.stage.trained, gradients, strict=True):
            if name in model.collected:
                counts = valid & self.job.mask_rules[name].collects(step, self.xp)
                total = model.collected[name]
                changed.collected[name] = self._kept(counts, total + gradient, total)

    def _kept(self, valid: Array | bool, new: Array, old: Array) -> Array:
        return chosen(valid, new, old, self.xp)


class EvaluatedStage(Protocol):
    """A stage that can be evaluated: see `StageFunctions`."""

    @property
    def stage(self) -> Stage: ...

    @property
    def evaluate(self) -> Callable[..., Sequence[Array]]: ...


def forward_through(
    functions: Iterable[EvaluatedStage], model: TrainedModel, given: dict[Source, Array]
) -> dict[Source, Array]:
    """What stages read and make of one sample, drawing nothing, given what comes from elsewhere."""
    known = dict(given)
    for own in functions:
        inputs = [known[source] for source in own.stage.inputs]
        outputs = own.evaluate(model.of(own.stage), inputs)
        known |= {Source(own.stage.index, n): value for n, value in enumerate(outputs)}
    return known


def from_host(sample: Iterable[Array]) -> dict[Source, Array]:
    """The model's inputs by source."""
    return {Source(HOST, number): value for number, value in enumerate(sample)}
