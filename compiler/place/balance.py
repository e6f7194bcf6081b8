"""Balance the masks of placed stages, each for the tiling that was chosen for it.

Placement --balance--> Placement

A permutation of a weight's features costs nothing at run time: tiles hold other rows and columns,
vectors over the features are permuted alike, and the streams at a stage's edges carry the original
order. So weights, checkpoints and executors never see it, and `orders` gives it again at any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ..kernels.layout import StageLayout, WeightMatrix, find_layout
from ..kernels.nonzeros import count_mask
from ..mapping.choices import Choice, PlacedStage, Placement
from ..mapping.pricing import Pricing, choice_at
from ..plan.program import Stage, Stages
from ..plan.stage_record import Tiling
from ..plan.training import Training
from .feature_order import FeatureOrder, balance


@dataclass(frozen=True)
class Balance:
    """Permute the features of masked weights, each for the tiling that was chosen.

    before: stage 0: 8 x 16 PEs at (0, 0), 610 cycles     after: stage 0: ... 540 cycles
    """

    training: Training = field(default_factory=Training)

    def __call__(self, stages: Stages, placement: Placement) -> Placement:
        return balance_placement(stages, placement, self.training)


def balance_placement(stages: Stages, placement: Placement, training: Training) -> Placement:
    """The same placement; stages with real masks get the cycles and bytes of balanced tiles.

    Masks that will change (`training.dynamic`) and order statistics stay as they are, and stages
    that share their region.
    """
    still = {
        name: np.asarray(mask, dtype=bool)
        for name, mask in training.masks.items()
        if name not in training.dynamic and isinstance(mask, np.ndarray | torch.Tensor)
    }
    found = {
        placed.stage: dict(_balanced(stages.stages[placed.stage], placed.choice.tiling, still))
        for users in placement.by_region.values()
        for placed in users
        if len(users) == 1
    }
    changed = {name: mask for own in found.values() for name, mask in own.items()}
    balanced = replace(training, masks={**training.masks, **changed})
    shared = len(placement.by_region) < len(placement.placed)
    pricing = Pricing(stages, placement.target, balanced, regions_shared=shared)
    placed = tuple(
        _better(pricing, stages.stages[placed.stage], placed) if found.get(placed.stage) else placed
        for placed in placement.placed
    )
    return placement if not changed else replace(placement, placed=placed)


def orders(
    stage: Stage, tiling: Tiling, masks: Mapping[str, np.ndarray]
) -> dict[str, FeatureOrder]:
    """The permutation of each masked weight of a stage; rows are output features."""
    layout = find_layout(stage.program)
    found = {}
    for index, matrix in layout.matrices.items():
        name = stage.parameters[index]
        if name in masks and not matrix.is_batch:
            counts = count_mask(masks[name], matrix.in_axis)
            found[name] = balance(counts, (tiling.out_split, tiling.in_split))
    return found


def _balanced(
    stage: Stage, tiling: Tiling, masks: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """The stage's masks with their features permuted, where that helps."""
    if not any(name in masks for name in stage.parameters):
        return
    layout = find_layout(stage.program)
    for name, found in orders(stage, tiling, masks).items():
        if found.gain > 1:
            yield name, permuted(masks[name], found, _matrix(layout, stage, name))


def permuted(mask: np.ndarray, order: FeatureOrder, matrix: WeightMatrix) -> np.ndarray:
    """A mask in its balanced order."""
    first, second = order.rows, order.columns
    if matrix.in_axis == 0:
        first, second = second, first
    out = np.empty_like(mask)
    for target, row in zip(out, first, strict=True):
        np.take(mask[row], second, axis=0, out=target)
    return out


def _matrix(layout: StageLayout, stage: Stage, name: str) -> WeightMatrix:
    return layout.matrices[stage.parameters.index(name)]


def _better(pricing: Pricing, stage: Stage, placed: PlacedStage) -> PlacedStage:
    """With the choice at the same tiling under the balanced masks, unless that is worse."""
    before = placed.choice
    table = pricing.reprice(stage, tiling=before.tiling, apart=before.apart)
    after = choice_at(table, 0, pricing.post(stage), pricing.sharing(stage))
    return replace(placed, choice=_with_gain(before, after))


def _with_gain(before: Choice, after: Choice) -> Choice:
    if after.nonzeros.per_pe_max >= before.nonzeros.per_pe_max:
        return before
    unbalanced = before.nonzeros.per_pe_max_unbalanced
    return replace(after, nonzeros=replace(after.nonzeros, per_pe_max_unbalanced=unbalanced))
