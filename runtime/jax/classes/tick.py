"""The tick with equal stages done together: one batched computation in place of many equal ones.

All stages of a tick are independent of each other, as every value they exchange is at least a tick
old. So the forwards of equal stages are one forward over a stack of their weights, states and
inputs, and XLA compiles it once; likewise the backwards and the updates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import jax
import numpy as np

from ....compiler.plan.program import HOST, Source
from ...tick import wiring
from ...tick.fifo_depths import Key
from ...tick.job import Job
from ...tick.stage_classes import Group, groups
from ...tick.train_state import Model
from ..tick import Moment, Pipeline, PipelinedTick
from .functions import group_functions, into
from .rings import Place, Rings, SharedTraffic
from .state import stacked

Array = Any


class GroupedTick(PipelinedTick):
    """One tick of all stages; a stage that is like no other is done as by `PipelinedTick`.

    The model of its state has a stack for every tensor of a group, by the name of the first one,
    and its FIFOs are those of `held`.
    """

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.groups = groups(job)
        self._functions = {
            group.first.index: group_functions(group, self.functions) for group in self.shared
        }

    @property
    def shared(self) -> list[Group]:
        """The groups of more than one stage."""
        return [group for group in self.groups if len(group.stages) > 1]

    @cached_property
    def places(self) -> dict[Key, Place]:
        """Where the FIFOs of groups are."""
        return {
            key: Place(rings, member)
            for group in self.shared
            for rings, keys in _keys(group, self.job.rule.stash)
            for member, key in enumerate(keys)
            if any(key in self.fifos for key in keys)
        }

    @cached_property
    def held(self) -> dict[Any, Any]:
        """The FIFOs: those of groups are rings of all their stages."""
        single = {key: fifo for key, fifo in self.fifos.items() if key not in self.places}
        reach: dict[Any, list[int]] = {}
        for key, place in self.places.items():
            ticks = self.fifos[key].reach if key in self.fifos else 0
            reach.setdefault(place.rings, []).append(ticks)
        first = {place.rings: key for key, place in self.places.items() if key in self.fifos}
        shared = {r: Rings(self.fifos[first[r]].spec, tuple(t)) for r, t in reach.items()}
        return {**single, **shared}

    def start(self) -> Pipeline:
        """The start values of the job, and nothing in flight, on the host."""
        model = stacked(self.groups, super().start().model)
        return Pipeline(model, tuple(fifo.empty() for fifo in self.held.values()))

    def step(
        self, old: Pipeline, moment: Moment, arrivals: Mapping[Key, Array]
    ) -> tuple[Pipeline, Mapping[Any, Array]]:
        """The next state, and outputs by source, of groups by the name of their rings."""
        traffic = SharedTraffic(self.held, self.places, old.buffers, moment.tick)
        new, made = old.model.successor(), {}
        for number, value in enumerate(moment.sample):
            traffic.push(Source(HOST, number), value)
        for group in self.groups:
            with jax.named_scope(group.first.name):
                made |= self._forwards(group, old.model, new, moment, traffic)
        for group in reversed(self.groups):
            with jax.named_scope(group.first.name):
                self._backwards(group, old.model, new, moment, traffic, made)
        rows = {source: self._row(source, made) for source in self.results}
        return Pipeline(new, traffic.buffers()), rows

    def _row(self, source: Source, made: Mapping[Any, Array]) -> Array:
        """An output of one stage."""
        if source in made:
            return made[source]
        rings, member = self._output(source)
        return made[rings][member]

    def _output(self, source: Source) -> Place:
        (group,) = (g for g in self.shared if source.stage in g.indices)
        member = group.indices.index(source.stage)
        return Place(_rings("output", group, source.output), member)

    def _forwards(
        self, group: Group, old: Model, new: Model, moment: Moment, traffic: SharedTraffic
    ) -> Mapping[Any, Array]:
        if len(group.stages) == 1:
            return self._forward(self.functions[group.first.index], old, new, moment, traffic)
        valid = moment.holds(moment.tick - _column(group.indices))
        inputs = []
        for position, _ in enumerate(group.first.inputs):
            sources = [stage.inputs[position] for stage in group.stages]
            pairs = zip(group.indices, sources, strict=True)
            ages = [index - wiring.entry_tick(source) for index, source in pairs]
            inputs.append(traffic.rows(sources, ages))
        rates = moment.rates[_column(group.indices)]
        functions = self._functions[group.first.index]
        state, result, weights = functions.forward(_own(old, group), rates, inputs, valid)
        new.state.update(state)
        outputs = _named("output", group, result.outputs)
        kept = _named("saved", group, result.saved) | _named("stash", group, weights)
        for key, values in outputs.items():
            traffic.send(key, values)
        for key, values in kept.items():
            traffic.push(key, values)
        return outputs

    def _backwards(
        self,
        group: Group,
        old: Model,
        new: Model,
        moment: Moment,
        traffic: SharedTraffic,
        made: Mapping[Any, Array],
    ) -> None:
        if len(group.stages) == 1:
            functions = self.functions[group.first.index]
            self._backward(functions, old, new, moment, traffic, made)
            return
        functions, own = self._functions[group.first.index], _own(old, group)
        delays = [self.job.stages.delay(index) for index in group.indices]
        weights = functions.functions.weights(own)
        read = [made[key] for key in _named("output", group, group.first.program.outputs)]
        if self.job.rule.stash:
            read += [traffic.new[key] for key in _named("stash", group, weights)]
            weights = self._kept("stash", group, len(weights), delays, traffic)
        saved = self._kept("saved", group, len(group.first.program.saved), delays, traffic)
        arrived = self._arrived(group, traffic)
        valid = moment.holds(moment.tick - _column(group.indices) - _column(delays))
        state, result, squares = functions.backward(own, weights, saved, arrived, valid)
        new.state.update(state)
        for (_, position), values in zip(
            wiring.gradient_inputs(group.first), result.inputs, strict=True
        ):
            traffic.send(_rings("gradient", group, position), values)
        valid = valid & moment.after([*read, *result.inputs])
        rates = moment.rates[_column(group.indices)]
        into(new, functions.update(own, result.parameters, squares, rates, valid))

    def _kept(
        self, kind: str, group: Group, count: int, delays: Sequence[int], traffic: SharedTraffic
    ) -> list[Array]:
        keys = [[(kind, index, number) for index in group.indices] for number in range(count)]
        return [traffic.rows(own, delays) for own in keys]

    def _arrived(self, group: Group, traffic: SharedTraffic) -> list[Array]:
        """The sum over each output's readers, in ascending stage index."""
        outputs = zip(*map(wiring.gradient_outputs, group.stages), strict=True)
        return [self._summed(sources, traffic) for sources in outputs]

    def _summed(self, sources: Sequence[Source], traffic: SharedTraffic) -> Array:
        first, *others = [
            traffic.rows(readers, [r[0] - s.stage for r, s in zip(readers, sources, strict=True)])
            for readers in zip(*(self.readers[source] for source in sources), strict=True)
        ]
        return sum(others, start=first)


def _rings(kind: str, group: Group, number: int) -> tuple[Any, ...]:
    return "group", kind, group.first.index, number


def _named(kind: str, group: Group, values: Sequence[Any]) -> dict[tuple[Any, ...], Any]:
    return {_rings(kind, group, number): value for number, value in enumerate(values)}


def _keys(group: Group, stash: bool) -> Iterator[tuple[tuple[Any, ...], list[Key]]]:
    """The rings of a group, and what each of the FIFOs in them is known by."""
    program = group.first.program
    for number, _ in enumerate(program.outputs):
        yield _rings("output", group, number), [Source(i, number) for i in group.indices]
    for _, position in wiring.gradient_inputs(group.first):
        yield _rings("gradient", group, position), [(i, position) for i in group.indices]
    stashed = program.parameters if stash else ()
    for kind, specs in (("saved", program.saved), ("stash", stashed)):
        for number, _ in enumerate(specs):
            yield _rings(kind, group, number), [(kind, i, number) for i in group.indices]


def _own(model: Model, group: Group) -> Model:
    """What belongs to a group."""
    return model.of(group.first)


def _column(numbers: Sequence[int]) -> np.ndarray:
    return np.array(numbers, np.int32)
