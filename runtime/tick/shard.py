"""A pipeline cut into groups of consecutive stages, one per device, and what crosses the cuts.

A value goes one group further per tick. A stage lies at least as many stages behind its source as
it lies groups behind, so a value is never read before it is there, and FIFOs at the reader hold
only what is left of its age.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ...compiler.plan.program import HOST, Source, Stage, Stages, TensorSpec
from . import wiring

Groups = tuple[range, ...]
"""Stage indices of each group; together all stages, in order."""

Key = Source | wiring.Reader
"""An output of a stage, by its source; or the gradient of an input of a stage, by its reader."""


@dataclass(frozen=True)
class Part:
    """Group `number` of a pipeline: the stages that one device runs."""

    pipeline: Stages
    groups: Groups
    number: int

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of this part, in order."""
        own = self.groups[self.number]
        return self.pipeline.stages[own.start : own.stop]

    def holds(self, stage: int) -> bool:
        """Whether a stage is of this part; the host is of none."""
        return stage in self.groups[self.number]

    def hops(self, key: Key) -> int:
        """Ticks that a value is old when it arrives here; the host feeds every part itself."""
        stage = key.stage if isinstance(key, Source) else key[0]
        return 0 if stage == HOST else abs(self._group_of[stage] - self.number)

    def activation_reach(self, source: Source) -> int | None:
        """Age of the oldest value of `source` that is read here, counted from its arrival."""
        read = [stage for stage, _ in self._readers[source] if self.holds(stage)]
        return read[-1] - wiring.entry_tick(source) - self.hops(source) if read else None

    def gradient_reach(self, reader: wiring.Reader) -> int | None:
        """Age at which the gradient that `reader` sends is read here, counted from its arrival."""
        source = self.pipeline.stages[reader[0]].inputs[reader[1]]
        here = self.holds(source.stage)
        return reader[0] - source.stage - self.hops(reader) if here else None

    @cached_property
    def _readers(self) -> dict[Source, tuple[wiring.Reader, ...]]:
        return wiring.readers(self.pipeline)

    @cached_property
    def _group_of(self) -> dict[int, int]:
        return {stage: number for number, own in enumerate(self.groups) for stage in own}


def whole(pipeline: Stages) -> Part:
    """All stages as one part."""
    return Part(pipeline, (range(len(pipeline)),), 0)


def activations_across(pipeline: Stages, first: int) -> tuple[Source, ...]:
    """What stages before stage `first` make and it or a later one reads."""
    read = wiring.readers(pipeline).items()
    return tuple(s for s, where in read if HOST != s.stage < first <= where[-1][0])


def gradients_across(pipeline: Stages, first: int) -> tuple[wiring.Reader, ...]:
    """The gradients that stage `first` and later ones send to stages before it."""
    sent = [reader for stage in pipeline.stages for reader in wiring.gradient_inputs(stage)]
    return tuple(r for r in sent if _source(pipeline, r).stage < first <= r[0])


def spec_of(pipeline: Stages, key: Key) -> TensorSpec:
    """Shape and dtype of a value; a gradient has those of what it is the gradient of."""
    source = key if isinstance(key, Source) else _source(pipeline, key)
    if source.stage == HOST:
        return pipeline.model_inputs[source.output]
    return pipeline.stages[source.stage].program.outputs[source.output]


def bytes_across(pipeline: Stages, first: int) -> int:
    """Bytes that cross the cut before stage `first` per sample, in both directions."""
    crossing: Iterator[Key] = iter(
        (*activations_across(pipeline, first), *gradients_across(pipeline, first))
    )
    return sum(spec_of(pipeline, key).size_bytes for key in crossing)


def _source(pipeline: Stages, reader: wiring.Reader) -> Source:
    return pipeline.stages[reader[0]].inputs[reader[1]]
