"""`map`: the Pareto set of tilings of every stage.

Stages --map--> Kernels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from ...backend.errors import UnknownNameError, UserError
from ..plan.program import Stages
from ..plan.training import Training
from ..stages.skip_streams import passing_bytes
from ..targets.target import Target
from .apart import apart_kernels, check_apart
from .choices import Kernels
from .finer import finer_kernels
from .known_kernels import known_kernels
from .pricing import Known, Pricing
from .sharing import SharedGroup, shared_kernel


@dataclass(frozen=True)
class Map:
    """Price all tilings of every stage and keep those that fit a PE and are Pareto-optimal.

    before: stage 0: linear                         after: stage 0:  4 x  8 PEs, 2,250 cycles
                                                                     8 x 16 PEs,   610 cycles

    Mappings of the same model with the same masks may share what is `known`.
    """

    target: Target
    training: Training = field(default_factory=Training)
    groups: tuple[SharedGroup, ...] = ()
    known: Known = field(default_factory=Known)

    def __call__(self, stages: Stages) -> Kernels:
        target, training, groups, known = self.target, self.training, self.groups, self.known
        kernels = known_kernels(
            *(known, stages, training, groups, target),
            lambda: map_kernels(stages, target, training, groups, known),
        )
        self.known.trim()
        return kernels


def map_kernels(
    stages: Stages,
    target: Target,
    training: Training | None = None,
    groups: Sequence[SharedGroup] = (),
    known: Known | None = None,
) -> Kernels:
    """The Pareto set of every stage, or of several that are to share a region.

    Raises InfeasibleError if no tiling of a stage fits a PE's memory, UnsupportedError for an
    operator without a kernel, UserError for a mask that does not match its parameter, and where
    stages are to be apart on a target that does not do that.
    """
    training = training or Training()
    if training.apart:
        check_apart(target)
    _check_masks(stages, training)
    _check_globs(stages, training)
    members = [group.stages for group in groups]
    passing = passing_bytes(stages, members)
    pricing = Pricing(stages, target, training, known, passing, regions_shared=bool(groups))
    together = {group.at: group for group in groups}
    guests = {number for group in groups for number in group.stages if number != group.at}
    kernels = Kernels(
        target,
        tuple(
            shared_kernel(
                stages, together[stage.index], target, training, pricing.passing, pricing.known
            )
            if stage.index in together
            else pricing.stage_kernel(stage)
            for stage in stages.stages
            if stage.index not in guests
        ),
        features_on_columns=training.in_sequence,
        finer=None if training.in_sequence else partial(finer_kernels, pricing),
    )
    return apart_kernels(pricing, kernels) if training.apart else kernels


def _check_globs(stages: Stages, training: Training) -> None:
    asked = [("module of recorded loads", glob) for glob in training.loads]
    asked += [("module of a tiling", glob) for glob in training.tilings]
    for kind, glob in asked:
        if not any(stage.is_made_for(glob) for stage in stages.stages):
            names = [stage.name for stage in stages.stages]
            raise UnknownNameError(kind, glob, names, "weft show PLAN")


def _check_masks(stages: Stages, training: Training) -> None:
    shapes = {
        name: spec.shape
        for stage in stages.stages
        for name, spec in zip(stage.parameters, stage.program.parameters, strict=True)
    }
    for name, mask in training.masks.items():
        if name not in shapes:
            raise UnknownNameError("parameter of a mask", name, shapes, "weft show PLAN")
        got = tuple(mask.shape) if isinstance(mask, np.ndarray | torch.Tensor) else float(mask)
        valid = 0 <= got < 1 if isinstance(got, float) else got == shapes[name]
        if not valid:
            raise UserError(
                f"mask of {name}",
                expected=f"shape {shapes[name]}, or a sparsity from 0 to below 1",
                got=str(got),
                change="build the mask from the parameter itself",
            )
