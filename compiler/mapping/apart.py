"""Stages whose forward has PEs of its own, beside those of backward and update.

stage 4: 16,192 PEs in 9,248 cycles        stage 4: 16,192 PEs in 9,248 cycles
                                                    32,384 PEs in 5,613 cycles, apart

In a tick both work at once, on different samples, so that their cycles are a maximum instead of a
sum. That takes two copies of the weights and twice the PEs; the Pareto set says where it pays.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np

from ...backend.errors import UserError
from ..kernels.stage import StageTable
from ..machine.arrays import Ints
from ..plan.program import Stage
from ..targets.target import Target
from .choices import Kernels
from .finer import Union, with_choices
from .pricing import Pricing


def check_apart(target: Target) -> None:
    """Raises UserError for a target on which no stage can have two regions."""
    if not target.software.triggered:
        raise UserError(
            f"target {target.name}, pipeline.mappings",
            expected="a machine where sums go on beside arithmetic (software.triggered), as wse2,"
            " for stages with a region of its own for the forward",
            got="apart",
            change="leave pipeline.mappings out, or choose such a target",
        )


def apart_kernels(pricing: Pricing, kernels: Kernels) -> Kernels:
    """Each stage's choices and those with two regions, as far as they are worth keeping.

    Mixtures of experts, stages that keep samples off the wafer, and the last one, whose backward is
    of its forward's sample, keep what they have; so do all where stages share a region.
    """
    unions: dict[Hashable, Union] = {}
    found = []
    for kernel in kernels.stages:
        stage = pricing.stages.stages[kernel.stage]
        if not kernel.guests and may_be_apart(pricing, stage):
            table = pricing.table_apart(stage)
            fits = fitting_apart(pricing, stage, table)
            kernel = with_choices(pricing, stage, kernel, table, fits, unions)
        found.append(kernel)
    return replace(kernels, stages=tuple(found))


def may_be_apart(pricing: Pricing, stage: Stage) -> bool:
    """Whether a stage with a region of its own may have two: in a plan whose ticks begin with the
    backward. Beside stages whose forward comes first, streams would need deeper FIFOs."""
    layout = pricing.layout(stage)[1]
    is_tied = layout.experts or layout.lent or stage.off_wafer
    return not is_tied and pricing.backward_first(stage)


def fitting_apart(pricing: Pricing, stage: Stage, table: StageTable) -> Ints:
    """Tilings of a table of two regions that fit the grid, and what they hold a PE."""
    (height, width), target = table.sides, pricing.target
    inside = np.flatnonzero((height <= target.rows) & (width <= target.columns))
    return np.intersect1d(pricing.fitting(stage, table), inside)
