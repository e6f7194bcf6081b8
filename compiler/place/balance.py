"""Balance the masks of placed stages, each for the tiling that was chosen for it.

Placement --balance--> Placement

A permutation of a weight's features costs nothing at run time: tiles hold other rows and columns,
vectors over the features are permuted alike, and the streams at a stage's edges carry the original
order. So weights, checkpoints and executors never see it, and `orders` gives it again at any time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch

from ..kernels.layout import Layout, Matrix, find_layout
from ..kernels.nonzeros import count_mask
from ..mapping.choices import Choice, PlacedStage, Placement
from ..mapping.pricing import Mask, Pricing, choice_at
from ..plan.program import Stage, Stages
from ..plan.stage_record import Tiling
from .feature_order import Balance, balance


def balance_placement(
    stages: Stages,
    placement: Placement,
    masks: Mapping[str, Mask],
    dynamic: Collection[str],
    optimizer_states: int,
) -> Placement:
    """The same placement; stages with real masks get the cycles and bytes of balanced tiles.

    Masks that will change (`dynamic`) and order statistics stay as they are.
    """
    still = {
        name: np.asarray(mask, dtype=bool)
        for name, mask in masks.items()
        if name not in dynamic and isinstance(mask, np.ndarray | torch.Tensor)
    }
    found = {
        placed.stage: dict(_balanced(stages.stages[placed.stage], placed.choice.tiling, still))
        for placed in placement.placed
    }
    changed = {name: mask for own in found.values() for name, mask in own.items()}
    pricing = Pricing(stages, {**masks, **changed}, placement.target, optimizer_states, dynamic)
    placed = tuple(
        _better(pricing, stages.stages[placed.stage], placed) if found[placed.stage] else placed
        for placed in placement.placed
    )
    return placement if not changed else replace(placement, placed=placed)


def orders(stage: Stage, tiling: Tiling, masks: Mapping[str, np.ndarray]) -> dict[str, Balance]:
    """The permutation of each masked weight of a stage; rows are output features."""
    layout = find_layout(stage.program)
    found = {}
    for index, matrix in layout.matrices.items():
        name = stage.parameters[index]
        if name in masks:
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


def permuted(mask: np.ndarray, order: Balance, matrix: Matrix) -> np.ndarray:
    """A mask in its balanced order."""
    first, second = order.rows, order.columns
    if matrix.in_axis == 0:
        first, second = second, first
    return mask[first][:, second]


def _matrix(layout: Layout, stage: Stage, name: str) -> Matrix:
    return layout.matrices[stage.parameters.index(name)]


def _better(pricing: Pricing, stage: Stage, placed: PlacedStage) -> PlacedStage:
    """With the choice at the same tiling under the balanced masks, unless that is worse."""
    before = placed.choice
    table = pricing.reprice(stage, tiling=before.tiling)
    after = choice_at(table, 0, pricing.post(stage), pricing.sharing(stage))
    return replace(placed, choice=_with_gain(before, after))


def _with_gain(before: Choice, after: Choice) -> Choice:
    if after.nonzeros.per_pe_max >= before.nonzeros.per_pe_max:
        return before
    unbalanced = before.nonzeros.per_pe_max_unbalanced
    return replace(after, nonzeros=replace(after.nonzeros, per_pe_max_unbalanced=unbalanced))
