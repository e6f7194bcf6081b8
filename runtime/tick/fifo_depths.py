"""Which values wait in which FIFO, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...compiler.plan.program import Source, Stage, Stages, TensorSpec
from . import wiring
from .shard import Part, spec_of

Key = Source | wiring.Reader | tuple[str, int, int]
"""Of a FIFO: a `Source` for a value, a `wiring.Reader` for the gradient of what it reads,
("saved" or "stash", stage, number) for what a forward keeps for its backward."""


class Reach(NamedTuple):
    """Of a FIFO: what one entry is, and the age in ticks of the oldest one that is read."""

    spec: TensorSpec
    ticks: int


def reaches(stages: Stages, part: Part, stash: bool) -> dict[Key, Reach]:
    """All FIFOs of a part of a pipeline, one value in per tick; weights only if `stash`."""
    every = _every(stages, part, stash)
    return {key: Reach(spec, ticks) for key, spec, ticks in every if ticks is not None}


def _every(stages: Stages, part: Part, stash: bool) -> Iterator[tuple[Key, TensorSpec, int | None]]:
    for source in wiring.readers(stages):
        yield source, spec_of(stages, source), part.activation_reach(source)
    for stage in stages.stages:
        for reader in wiring.gradient_inputs(stage):
            yield reader, spec_of(stages, reader), part.gradient_reach(reader)
        if part.holds(stage.index):
            for key, spec in _kept(stage, stash):
                yield key, spec, stages.delay(stage.index)


def _kept(stage: Stage, stash: bool) -> Iterator[tuple[Key, TensorSpec]]:
    """What a stage keeps from the forward of a sample for its backward."""
    stashed = stage.program.parameters if stash else ()
    for kind, specs in (("saved", stage.program.saved), ("stash", stashed)):
        for number, spec in enumerate(specs):
            yield (kind, stage.index, number), spec
