"""A tick as data: for each stage what it reads, how old that is, and what it hands on.

Pipelined and sequential training are two schedules of the same stages. When a stage works on a
sample says all: at tick t its forward is of sample t - f and its backward of sample t - b, so what
one stage wrote for that sample, another reads the difference of their ages later.

    pipelined     f = stage        b = 2 (S - 1) - stage
    sequential    f = 0            b = 0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from .program import HOST, Reader, Rebuilt, Source, Stage, Stages, TensorSpec

ValueKey = Source | Reader | Rebuilt | tuple[str, int, int]
"""A value that is handed on or kept: a stage's output or the host's input by its `Source`; the
gradient that a stage gives for one of its inputs by its `Reader`; an input that it gives back by
`Rebuilt`; ("saved" or "stash", stage, number) for what a forward keeps for its backward."""


class Read(NamedTuple):
    """The value that was written under `key` `age` ticks ago; 0 is earlier in the same tick."""

    key: ValueKey
    age: int


@dataclass(frozen=True)
class Step:
    """The forward, or the backward and the update, of one stage: of sample tick - `sample_age`.

    `reads` has an entry for each argument of the program after parameters and state: the values
    that are added up to it, in this order. For the gradient of the loss that is the loss.
    `writes` names what is handed on or kept: of a forward its outputs, what it saves, and the
    weights it used if they are stashed; of a backward the gradients of its inputs, and the inputs
    that it gives back.
    `weights` reads stashed weights; without any, a backward takes the weights of its tick.
    """

    stage: int
    sample_age: int
    reads: tuple[tuple[Read, ...], ...]
    writes: tuple[ValueKey, ...]
    weights: tuple[Read, ...] = ()


@dataclass(frozen=True)
class TickSchedule:
    """One tick: all forwards in the order of their stages, then all backwards from the last on.

    Both tuples are in the order of the stages. Sample t is fed at tick t.
    """

    stages: Stages
    forwards: tuple[Step, ...]
    backwards: tuple[Step, ...]

    @cached_property
    def lag(self) -> int:
        """Ticks from a sample's feeding to its last update."""
        return max(self._backward_ages.values())

    @property
    def rates_read(self) -> int:
        """A tick reads the learning rates of this many updates, from update tick - lag on."""
        return self.lag - min(self._backward_ages.values()) + 1

    @property
    def has_bubbles(self) -> bool:
        """Whether there are ticks in which some stages have no sample."""
        return self.lag > 0

    @property
    def result_ages(self) -> tuple[int, ...]:
        """A tick gives the loss and the predictions of the samples tick - result age."""
        return tuple(self._forward_ages[source.stage] for source in self.stages.results)

    def update_age(self, stage: int) -> int:
        """Ticks from a sample's feeding to its update of a stage."""
        return self._backward_ages[stage]

    def delay(self, stage: int) -> int:
        """Updates of a stage between the forward and the backward of one sample."""
        return self._backward_ages[stage] - self._forward_ages[stage]

    @cached_property
    def read(self) -> dict[ValueKey, int]:
        """What is read, with the age of the oldest value that is read of it."""
        ages: dict[ValueKey, int] = {}
        for step in chain(self.forwards, self.backwards):
            for key, age in chain(*step.reads, step.weights):
                ages[key] = max(ages.get(key, 0), age)
        return {key: ages[key] for key in keys_of(self.stages) if key in ages}

    @cached_property
    def buffers(self) -> dict[ValueKey, int]:
        """What later ticks read, with the age of the oldest value that is read of it."""
        return {key: age for key, age in self.read.items() if age}

    @cached_property
    def _forward_ages(self) -> dict[int, int]:
        return {step.stage: step.sample_age for step in self.forwards}

    @cached_property
    def _backward_ages(self) -> dict[int, int]:
        return {step.stage: step.sample_age for step in self.backwards}


def pipelined(stages: Stages, stash: bool) -> TickSchedule:
    """Every stage works on another sample; with `stash` backwards see their forward's weights."""
    return _schedule(stages, stash, lambda stage: stage, lambda stage: stage + stages.delay(stage))


def sequential(stages: Stages) -> TickSchedule:
    """Each sample goes through all stages and back before the next one."""
    return _schedule(stages, False, lambda stage: 0, lambda stage: 0)


def keys_of(stages: Stages) -> Iterator[ValueKey]:
    """All that stages may read of each other and of themselves."""
    yield from stages.readers
    for stage in stages.stages:
        yield from stage.gradient_inputs
        yield from stage.rebuilt
        yield from _saved(stage)
        yield from _stashed(stage)


def spec_of(stages: Stages, key: ValueKey) -> TensorSpec:
    """Shape and dtype of a value; a gradient has those of what it is the gradient of."""
    if isinstance(key, Source):
        if key.stage == HOST:
            return stages.model_inputs[key.output]
        return stages.stages[key.stage].program.outputs[key.output]
    if isinstance(key, Rebuilt):
        return stages.stages[key.stage].program.inputs[key.input]
    if len(key) == 2:
        return spec_of(stages, stages.stages[key[0]].inputs[key[1]])
    kind, stage, number = key
    program = stages.stages[stage].program
    return (program.saved if kind == "saved" else program.parameters)[number]


Age = Callable[[int], int]


def _schedule(stages: Stages, stash: bool, forward_age: Age, backward_age: Age) -> TickSchedule:
    def forward(stage: Stage) -> Step:
        age = forward_age(stage.index)
        made = [0 if source.stage == HOST else forward_age(source.stage) for source in stage.inputs]
        pairs = zip(stage.inputs, made, strict=True)
        kept = (*_saved(stage), *(_stashed(stage) if stash else ()))
        return Step(
            stage.index,
            age,
            reads=tuple((Read(source, age - since),) for source, since in pairs),
            writes=(*_outputs(stage), *kept),
        )

    def backward(stage: Stage) -> Step:
        age = backward_age(stage.index)
        delay = age - forward_age(stage.index)
        arrived = (
            (Read(output, delay),)
            if output == stages.loss
            else tuple(Read(r, age - backward_age(r[0])) for r in stages.readers[output])
            for output in stage.gradient_outputs
        )
        given_back = (stages.rebuilt[source] for source in stage.arriving)
        back = ((Read(key, age - backward_age(key.stage)),) for key in given_back)
        return Step(
            stage.index,
            age,
            reads=(*((Read(key, delay),) for key in _saved(stage)), *arrived, *back),
            writes=(*stage.gradient_inputs, *stage.rebuilt),
            weights=tuple(Read(key, delay) for key in _stashed(stage)) if stash else (),
        )

    own = stages.stages
    return TickSchedule(stages, tuple(map(forward, own)), tuple(map(backward, own)))


def _outputs(stage: Stage) -> list[Source]:
    return [Source(stage.index, number) for number, _ in enumerate(stage.program.outputs)]


def _saved(stage: Stage) -> list[ValueKey]:
    return [("saved", stage.index, number) for number, _ in enumerate(stage.program.saved)]


def _stashed(stage: Stage) -> list[ValueKey]:
    return [("stash", stage.index, number) for number, _ in enumerate(stage.parameters)]
