"""`weft bench remap`: what masks that change do to a plan's interval, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from ...compiler.kernels.layout import WeightMatrix, find_layout
from ...compiler.place.balance import orders, permuted
from ...compiler.plan.plan import Plan
from ...compiler.plan.program import Stage
from ...compiler.recipes.build import compile_recipe
from ...compiler.recipes.recipe import Recipe
from ...compiler.remap.mask_room import rooms
from ...compiler.remap.new_map import new_map
from ...compiler.targets.load import load_target
from ...compiler.targets.target import Target
from ...runtime.data import Dataset, load_data
from ...runtime.executors import make_executor
from ...runtime.tick.make_job import make_job
from ...study.remap_price import as_planned_cycles

Masks = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Drift:
    """Intervals in cycles under the masks after `samples` samples, by what is done about them.

    `as_planned` leaves weights where the plan put them; `first_kept` permutes features as balances
    the first masks best, `rebalanced` as balances these; `new_map` lays all out anew for these
    masks, which may change again, and `final_map` for ones that will not. `growth` is the largest
    ratio, over stages, of the non-zeros on the fullest PE to those under the first masks.
    """

    samples: int
    as_planned: int
    first_kept: int
    rebalanced: int
    new_map: float
    final_map: float
    growth: float


def drifts(recipe: Recipe) -> Iterator[Drift]:
    """Train the recipe on the digits with jax; a row at the start and after each epoch.

    Raises UserError without scikit-learn or jax.
    """
    data, plan = load_data("digits"), compile_recipe(recipe)
    target = load_target(recipe.target.name, recipe.target.overrides)
    first = _arrays(plan.masks)
    for samples, masks in _trained(plan, recipe, data):
        yield _drift(MaskCosts(plan, target), samples, first, masks)


def _trained(plan: Plan, recipe: Recipe, data: Dataset) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """The masks at the start and after each epoch."""
    mode, updates = recipe.pipeline.mode, recipe.epochs * len(data.x_train)
    machine = make_executor("jax", make_job(plan, recipe, updates, mode), mode)
    samples = 0
    yield samples, dict(plan.masks)
    for order in data.epochs(recipe.epochs, recipe.seed):
        machine.feed([data.x_train[order], data.y_train[order]])
        samples += len(order)
        yield samples, machine.masks()


def _drift(costs: MaskCosts, samples: int, first: Masks, masks: dict[str, Tensor]) -> Drift:
    now = replace(costs.plan, masks=masks)
    held = {room.stage: room.nonzeros for room in rooms(costs.plan, costs.plan.masks)}
    return Drift(
        samples,
        as_planned=costs.interval(_arrays(masks)),
        first_kept=costs.interval(costs.permuted(_arrays(masks), first)),
        rebalanced=costs.interval(costs.permuted(_arrays(masks), _arrays(masks))),
        new_map=new_map(now).document.totals.initiation_interval_cycles,
        final_map=new_map(now, is_final=True).document.totals.initiation_interval_cycles,
        growth=max(room.nonzeros / held[room.stage] for room in rooms(costs.plan, masks)),
    )


@dataclass(frozen=True)
class MaskCosts:
    """A plan's stages at its tilings under other masks."""

    plan: Plan
    target: Target

    def interval(self, masks: Masks) -> int:
        """Cycles of the slowest stage."""
        return as_planned_cycles(self.plan, masks, self.target)

    def permuted(self, masks: Masks, balanced: Masks) -> dict[str, np.ndarray]:
        """`masks` in the order of features that balances the masks `balanced`."""
        found = dict(masks)
        for stage, record in zip(self.plan.stages.stages, self.plan.document.stages, strict=True):
            own = {name: balanced[name] for name in stage.parameters if name in balanced}
            for name, order in (orders(stage, record.tiling, own) if own else {}).items():
                found[name] = permuted(masks[name], order, _matrix(stage, name))
        return found


def _matrix(stage: Stage, name: str) -> WeightMatrix:
    return find_layout(stage.program).matrices[stage.parameters.index(name)]


def _arrays(masks: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: np.asarray(mask) for name, mask in masks.items()}
