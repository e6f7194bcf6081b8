"""One tick of a schedule: the loop that the executors through XLA have in common.

An executor brings the functions of its stages, the traffic (what is in flight, in its buffers),
and the moment (which tick it is). The functions of a class of several stages do them all at once:
what they take and give has a row for every stage. Those of a class of one have no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...compiler.plan.program import Stage
from ...compiler.plan.schedule import Read, Step, ValueKey
from .stage import StageBackward, StageForward
from .train_state import Array, TrainedModel

Keys = tuple[ValueKey, ...]
Reads = tuple[Read, ...]


class Functions(Protocol):
    """Those of a class of stages, with the arguments of `StageFunctions`."""

    @property
    def forward(self) -> Callable[..., StageForward]: ...

    @property
    def backward(self) -> Callable[..., StageBackward]: ...

    @property
    def update(self) -> Callable[..., TrainedModel]: ...


class Traffic(Protocol):
    """All that is in flight during one tick."""

    def push(self, keys: Keys, value: Array) -> None:
        """Write this tick's value of a key, or a row for each of several."""
        ...

    def read(self, reads: Reads) -> Array:
        """What was written; a row for each if there are several."""
        ...

    def known(self, keys: Sequence[Keys], values: Sequence[Array]) -> Array | bool:
        """True, once what was pushed as `keys` and all `values` are known.

        What is overwritten under this condition may be overwritten in place.
        """
        ...


class Moment(Protocol):
    """Which tick it is, and what was fed so far."""

    def holds(self, ages: Sequence[int]) -> Array | bool:
        """Whether the samples tick - age were fed; True where there are no bubbles."""
        ...

    def rate(self, ages: Sequence[int]) -> Array:
        """The learning rates of the updates tick - age."""
        ...


@dataclass(frozen=True)
class ClassSteps:
    """The steps of a class of stages. Its model has the names of the first of them, `stage`."""

    stage: Stage
    forwards: tuple[Step, ...]
    backwards: tuple[Step, ...]
    functions: Functions


def tick(
    classes: Sequence[ClassSteps], model: TrainedModel, moment: Moment, traffic: Traffic
) -> TrainedModel:
    """The model after a tick; what the stages hand on is in the traffic."""
    changes = [_forward(own, model, moment, traffic) for own in classes]
    for own in reversed(classes):
        changes += _backward(own, model, moment, traffic)
    return model.updated(*changes)


def _forward(
    own: ClassSteps, model: TrainedModel, moment: Moment, traffic: Traffic
) -> TrainedModel:
    inputs = _arguments(own.forwards, traffic)
    rate = moment.rate(_ages(own.backwards))
    made = own.functions.forward(
        model.of(own.stage), inputs, rate, moment.holds(_ages(own.forwards))
    )
    values = (*made.outputs, *made.saved, *made.weights)
    for keys, value in zip(_written(own.forwards), values, strict=False):  # a stash, or none
        traffic.push(keys, value)
    return _with_state(made.state)


def _backward(
    own: ClassSteps, model: TrainedModel, moment: Moment, traffic: Traffic
) -> Iterable[TrainedModel]:
    old, valid = model.of(own.stage), moment.holds(_ages(own.backwards))
    arguments = _arguments(own.backwards, traffic)
    weights = [
        traffic.read(reads) for reads in zip(*(s.weights for s in own.backwards), strict=True)
    ]
    weights = weights or [old.weights[name] for name in own.stage.parameters]
    made = own.functions.backward(old, weights, arguments, valid)
    handed_on = [*made.inputs, *made.rebuilt]
    for keys, value in zip(_written(own.backwards), handed_on, strict=True):
        traffic.push(keys, value)
    yield _with_state(made.state)
    if own.stage.trained:
        if valid is not True:
            valid = traffic.known(_written(own.forwards), handed_on) & valid
        rate = moment.rate(_ages(own.backwards))
        yield own.functions.update(old, made.parameters, made.squares, rate, valid)


def _arguments(steps: Sequence[Step], traffic: Traffic) -> list[Array]:
    """What the steps read, added up in the order of their reads."""
    found = []
    for terms in zip(*(step.reads for step in steps), strict=True):
        first, *others = [traffic.read(reads) for reads in zip(*terms, strict=True)]
        found.append(sum(others, start=first))
    return found


def _written(steps: Sequence[Step]) -> list[Keys]:
    return list(zip(*(step.writes for step in steps), strict=True))


def _ages(steps: Sequence[Step]) -> list[int]:
    return [step.sample_age for step in steps]


def _with_state(state: dict[str, Array]) -> TrainedModel:
    changed = TrainedModel.empty()
    changed.state.update(state)
    return changed
