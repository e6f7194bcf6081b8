"""All that training changes, by name, as arrays of whichever kind an executor computes with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any

import torch

from ...compiler.plan.program import Stage
from .job import Job

Array = Any
NamedArrays = dict[str, Array]


@dataclass(frozen=True)
class TrainedModel:
    """By name: parameters, optimizer state, normalization state, and masks.

    Masks change between dispatches only, see `mask_updates.py`. `collected` has the dense gradients
    for their updates. `skips` has int32 (total, current, longest) of each stage with parameters,
    by its number, and `steps` the updates made by each stage whose masks change.
    """

    weights: NamedArrays
    optimizer: dict[str, NamedArrays]
    state: NamedArrays
    masks: NamedArrays
    skips: NamedArrays
    collected: NamedArrays
    steps: NamedArrays

    @staticmethod
    def start(
        job: Job, stages: Sequence[Stage], to_array: Callable[[torch.Tensor], Array], xp: Any
    ) -> TrainedModel:
        """The start values of some stages of a job; `xp` is torch or numpy."""
        weights = {n: to_array(job.start(n)) for stage in stages for n in stage.parameters}
        names = [n for stage in stages for n in (*stage.forward_state, *stage.backward_state)]
        return TrainedModel(
            weights=weights,
            optimizer={
                name: job.optimizer_start(name, value, xp) for name, value in weights.items()
            },
            state={name: to_array(job.start(name)) for name in names},
            masks={name: to_array(job.masks[name]) for name in weights if name in job.masks},
            skips={str(s.index): _zeros(3, to_array) for s in stages if s.parameters},
            collected={n: xp.zeros_like(weights[n]) for n in job.collecting if n in weights},
            steps={
                str(s.index): _zeros((), to_array)
                for s in stages
                if any(name in job.mask_rules for name in s.parameters)
            },
        )

    def of(self, stage: Stage) -> TrainedModel:
        """What belongs to a stage."""
        weights, key = stage.parameters, (str(stage.index),)
        state = (*stage.forward_state, *stage.backward_state)
        return TrainedModel(
            weights=_chosen(self.weights, weights),
            optimizer=_chosen(self.optimizer, weights),
            state=_chosen(self.state, state),
            masks=_chosen(self.masks, weights),
            skips=_chosen(self.skips, key),
            collected=_chosen(self.collected, weights),
            steps=_chosen(self.steps, key),
        )

    def updated(self, *changes: TrainedModel) -> TrainedModel:
        """With the entries of `changes` in place of its own."""
        return TrainedModel(
            *(
                dict(chain.from_iterable(getattr(own, f.name).items() for own in (self, *changes)))
                for f in fields(TrainedModel)
            )
        )

    @staticmethod
    def empty() -> TrainedModel:
        """A model without entries."""
        return TrainedModel(*({} for _ in fields(TrainedModel)))


@dataclass(frozen=True)
class Pipeline:
    """The model, and what is in flight: an array for each buffer of an executor."""

    model: TrainedModel
    buffers: tuple[Array, ...]


def _zeros(shape: int | tuple[()], to_array: Callable[[torch.Tensor], Array]) -> Array:
    return to_array(torch.zeros(shape, dtype=torch.int32))


def _chosen(entries: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: entries[name] for name in names if name in entries}
