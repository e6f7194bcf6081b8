"""A pipeline cut into shards of consecutive stages, one per device, and what crosses the cuts.

A value goes one shard further per tick. A stage lies at least as many stages behind its source as
it lies shards behind, so a value is never read before it is there, and FIFOs at the reader hold
only what is left of its age.
"""

from __future__ import annotations

from dataclasses import replace

from ...compiler.plan.program import HOST, Reader, Rebuilt, Source, Stages
from ...compiler.plan.schedule import Read, Step, TickSchedule, ValueKey, spec_of

Shards = tuple[range, ...]
"""Stage indices of each shard; together all stages, in order."""


def hops(shards: Shards, number: int, key: ValueKey) -> int:
    """Ticks that a value is old when it arrives at shard `number`.

    The host feeds every shard itself, and what a stage keeps for itself never travels.
    """
    if isinstance(key, tuple) and len(key) == 3:
        return 0
    stage = key.stage if isinstance(key, Source | Rebuilt) else key[0]
    return 0 if stage == HOST else abs(shard_of(shards, stage) - number)


def shard_of(shards: Shards, stage: int) -> int:
    """The number of the shard that a stage is of."""
    (number,) = (number for number, own in enumerate(shards) if stage in own)
    return number


def schedule_of(schedule: TickSchedule, shards: Shards, number: int) -> TickSchedule:
    """The steps of shard `number`: what comes from others is read as old as it is since it came."""

    def read(given: Read) -> Read:
        return Read(given.key, given.age - hops(shards, number, given.key))

    def own(step: Step) -> Step:
        return replace(step, reads=tuple(tuple(map(read, terms)) for terms in step.reads))

    return TickSchedule(
        schedule.stages,
        tuple(own(step) for step in schedule.forwards if step.stage in shards[number]),
        tuple(own(step) for step in schedule.backwards if step.stage in shards[number]),
    )


def activations_across(stages: Stages, first: int) -> tuple[Source, ...]:
    """What stages before stage `first` make and it or a later one reads."""
    read = stages.readers.items()
    return tuple(s for s, where in read if HOST != s.stage < first <= where[-1][0])


def gradients_across(stages: Stages, first: int) -> tuple[Reader | Rebuilt, ...]:
    """The gradients that stage `first` and later ones send to stages before it, and what they give
    back to them."""
    sent = [reader for stage in stages.stages for reader in stage.gradient_inputs]
    gradients = (
        (stage, position)
        for stage, position in sent
        if stages.stages[stage].inputs[position].stage < first <= stage
    )
    given_back = (
        key
        for source, key in stages.rebuilt.items()
        if source in stages.asking and stages.asking[source][0] < first <= key.stage
    )
    return (*gradients, *given_back)


def bytes_across(stages: Stages, first: int) -> int:
    """Bytes that cross the cut before stage `first` per sample, in both directions."""
    crossing = (*activations_across(stages, first), *gradients_across(stages, first))
    return sum(spec_of(stages, key).size_bytes for key in crossing)
