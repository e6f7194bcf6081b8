"""The non-zeros of a plan's weights, tile by tile, as they were when its stages were priced."""

from __future__ import annotations

import numpy as np

from ..kernels.layout import StageLayout
from ..kernels.nonzeros import WeightTiles
from ..place.balance import orders, permuted
from ..plan.plan import Plan
from ..plan.program import Stage
from ..plan.stage_record import StageRecord


def plan_tiles(
    plan: Plan, stage: Stage, record: StageRecord, layout: StageLayout
) -> dict[int, WeightTiles]:
    """By parameter index, with the plan's masks, balanced where the plan is.

    A plan without tensors says how many weights are not zero but not which: then every matrix of a
    stage has the same share of them, at random.
    """
    masks = {n: np.asarray(m) for n, m in plan.masks.items() if n in stage.parameters}
    held = record.nonzeros
    if not masks and held.total < held.dense:
        density = held.total / held.dense
        return {
            index: WeightTiles(m.out_features, m.in_features, m.taps, density=density)
            for index, m in layout.matrices.items()
        }
    if held.per_pe_max < held.per_pe_max_unbalanced:
        for name, order in orders(stage, record.tiling, masks).items():
            matrix = layout.matrices[stage.parameters.index(name)]
            masks[name] = permuted(masks[name], order, matrix)
    return {
        index: matrix.tiles_of(masks.get(stage.parameters[index]))
        for index, matrix in layout.matrices.items()
    }
