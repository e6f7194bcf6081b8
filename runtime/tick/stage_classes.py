"""Finds isomorphic stages, which can be executed by one batched program."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from ...backend.optim.compensation import is_off
from ...compiler.plan.program import HOST, Source, Stage, Stages
from .job import Job


@dataclass(frozen=True)
class StageClass:
    """Stages that differ in their tensors, in whom they read, and in their delays only.

    In order. The tensors of all are known by the names that the first one has for them.
    """

    stages: tuple[Stage, ...]

    @property
    def first(self) -> Stage:
        """The stage that gives its names."""
        return self.stages[0]

    @property
    def indices(self) -> list[int]:
        """The stages' places in the pipeline."""
        return [stage.index for stage in self.stages]

    @property
    def is_single(self) -> bool:
        """Whether it is a class of one stage."""
        return len(self.stages) == 1

    def names(self, member: int) -> dict[str, str]:
        """The class's names of a member's tensors, and of its number, by the member's own."""
        own, first = self.stages[member], self.first
        tensors = dict(zip(own.tensors, first.tensors, strict=True))
        return {**tensors, str(own.index): str(first.index)}


Classes = tuple[StageClass, ...]


def classes_of_one(stages: Stages) -> Classes:
    """Each stage by itself."""
    return tuple(StageClass((stage,)) for stage in stages.stages)


def stage_classes(job: Job, most_bytes: int | None = None) -> Classes:
    """All stages of a job, those alike together, in the order of their first stages.

    The parameters of stages that are together take at most `most_bytes`.
    """
    readers = job.stages.readers
    found: dict[Hashable, list[Stage]] = {}
    for stage in job.stages.stages:
        counts = tuple(
            len(readers.get(Source(stage.index, number), ()))
            for number, _ in enumerate(stage.program.outputs)
        )
        form = (counts, _form(job, stage)) if _may_share(job, stage) else stage.index
        found.setdefault(form, []).append(stage)
    parts = (part for stages in found.values() for part in _parts(stages, most_bytes))
    return tuple(sorted(parts, key=lambda own: own.first.index))


def _parts(stages: Sequence[Stage], most_bytes: int | None) -> Iterator[StageClass]:
    """As few classes of equal stages as there may be, of nearly the same size."""
    own = sum(spec.size_bytes for spec in stages[0].program.parameters)
    most = len(stages) if most_bytes is None or own == 0 else max(1, most_bytes // own)
    count = math.ceil(len(stages) / most)
    for n in range(count):
        start, end = (len(stages) * number // count for number in (n, n + 1))
        yield StageClass(tuple(stages[start:end]))


def _form(job: Job, stage: Stage) -> Hashable:
    """What stages have to agree in, beside how many readers they have."""
    constants = job.rule.constants(job.stages.delay(stage.index))
    masked = tuple(name in job.masks for name in stage.parameters)
    rules = (job.mask_rules.get(name) for name in stage.parameters)
    windows = tuple(rule and (rule.window, rule.needs_gradient) for rule in rules)
    by_element = tuple(name in job.by_element for name in stage.parameters)
    return stage.program.key, masked, windows, by_element, tuple(map(is_off, constants))


def _may_share(job: Job, stage: Stage) -> bool:
    """What reads the host or has the loss is the only one of its kind."""
    return job.stages.loss.stage != stage.index and all(s.stage != HOST for s in stage.inputs)
