"""How a plan's weights are trained, as far as mapping, memory and balance depend on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np
import torch

from ..targets.target import Target
from .program import Stage, Stages
from .program_graph import packet_name
from .routed import Routed
from .stage_record import StageRecord, Tiling

Mask = np.ndarray | torch.Tensor | float
"""True where a weight is kept; or a float: the share of weights that are zero, at random."""


@dataclass(frozen=True)
class Training:
    """The sparsity and the optimizer of a training run.

    `masks` maps parameter names to boolean tensors or to a sparsity; parameters without one are
    dense. Masks of the parameters in `dynamic` change during training: their stages keep room for
    it and are not balanced. `optimizer_states` is the number of state tensors per weight (1 for SGD
    with momentum, 2 for AdamW). `matrix_rule` names the update rule if it steps parameters as
    matrices, but for those that `by_element` is about (see `stepped_by_element`).
    With `apart` stages may have one region for their forward and one for backward and update.
    Stages that match one of the globs of `tilings` ("layers.*") are mapped so; of several globs
    that match the first counts. With `in_sequence` every operator waits for the sums of the one
    before. A stage takes at most `pe_memory` bytes of a PE, of all that it has if it is None. Of
    `loads`, likewise by glob, the shares of all rows that go to each expert of a
    mixture, in the mean over samples; others go evenly.
    """

    masks: Mapping[str, Mask] = field(default_factory=dict)
    dynamic: frozenset[str] = frozenset()
    optimizer_states: int = 1
    matrix_rule: str | None = None
    by_element: tuple[str, ...] | None = None
    tilings: Mapping[str, Tiling] = field(default_factory=dict)
    in_sequence: bool = False
    loads: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    pe_memory: int | None = None
    apart: bool = False

    def bytes_of(self, target: Target) -> int:
        """What a stage may take of a PE of a machine."""
        capacity = target.capacity_bytes
        return capacity if self.pe_memory is None else min(self.pe_memory, capacity)

    def tiling_of(self, stage: Stage) -> Tiling | None:
        """What is asked for the stages made for a module, by the module's path."""
        found = (tiling for glob, tiling in self.tilings.items() if stage.is_made_for(glob))
        return next(found, None)

    def load_of(self, stage: Stage) -> tuple[float, ...] | None:
        """The shares of rows that go to each expert of a stage, by its module's path."""
        found = (shares for glob, shares in self.loads.items() if stage.is_made_for(glob))
        return next(found, None)

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The masks that say of each weight whether it is kept."""
        found = {n: mask for n, mask in self.masks.items() if not isinstance(mask, float)}
        return {name: torch.as_tensor(mask) for name, mask in found.items()}

    @property
    def shares_of_zeros(self) -> dict[str, float]:
        """By parameter, of those that are sparse at random."""
        shares = ((n, mask) for n, mask in self.masks.items() if isinstance(mask, float))
        return dict(sorted(shares))


def recorded_loads(stages: Sequence[StageRecord]) -> dict[str, tuple[float, ...]]:
    """The shares that a plan's mixtures were timed for, by the stage's id; without even ones."""
    found = {
        stage.id: step.shares
        for stage in stages
        for operator in stage.operators
        for step in operator.steps
        if isinstance(step, Routed)
    }
    return {name: shares for name, shares in found.items() if len(set(shares)) > 1}


def stepped_by_element(stages: Stages, globs: Sequence[str] | None) -> frozenset[str]:
    """Names of parameters that a glob matches.

    By default the tables of embeddings, whose rows are no directions of one space, and all of the
    last stage that has a matrix: the head.
    """
    if globs is None:
        return frozenset((*_tables(stages), *_head(stages)))
    names = (name for stage in stages.stages for name in stage.parameters)
    return frozenset(name for name in names if any(fnmatchcase(name, glob) for glob in globs))


def _tables(stages: Stages) -> Iterator[str]:
    for stage in stages.stages:
        places = stage.program.forward.graph.find_nodes(op="placeholder")
        for name, place in zip(stage.parameters, places, strict=False):
            if any(packet_name(user) == "aten.embedding" for user in place.users):
                yield name


def _head(stages: Stages) -> tuple[str, ...]:
    last = next((stage for stage in reversed(stages.stages) if _has_matrix(stage)), None)
    return () if last is None else tuple(last.parameters)


def _has_matrix(stage: Stage) -> bool:
    return any(len(spec.shape) > 1 for spec in stage.program.parameters)
