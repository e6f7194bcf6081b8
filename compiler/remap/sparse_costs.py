"""What sparsity gains on a plan's target, layer by layer, and what keeps it from gaining more.

Cycles are those of a whole tick of the layer's stage (forward, backward and update) at the tiling
of the plan. A limit is found by taking it away: the cycles that would be saved with tiles of equal
non-zeros (imbalance), with free instruction starts (issue), with indexed access at the dense rate
(index); cycles on the links are communication, those of other operators are other work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...backend.sparsity import configure
from ..kernels.layout import find_layout
from ..kernels.nonzeros import WeightTiles
from ..kernels.optimizer import UpdateStep
from ..kernels.stage import StageTable, price_stage
from ..machine.tilings import Tilings
from ..plan.plan import Plan
from ..plan.program import Stage
from ..plan.stage_record import StageRecord
from ..recipes.read import make_recipe
from ..targets.load import load_target
from ..targets.target import Target
from .mask_room import Room, rooms
from .plan_tiles import plan_tiles

_HIGHEST = 0.995
_STEP = 0.005
_PRODUCTS = ("linear", "convolution")


@dataclass(frozen=True)
class SparseLayer:
    """One stage with masked weights.

    `requested` and `actual` are shares of its masked weights that are zero; `requested` is None if
    the plan's recipe does not say. Speed-ups are against the same tiling without zeros; `ideal`
    would skip every zero at no cost. `break_even` is the least sparsity, of random masks, that is
    faster than dense; None if none up to 99.5 % is. `limits` are cycles per tick by cause.
    """

    stage: str
    weights: int
    requested: float | None
    actual: float
    ideal: float
    predicted: float
    break_even: float | None
    limits: dict[str, int]
    room: Room

    @property
    def limited_by(self) -> str:
        """The cause that costs the most cycles; 'nothing' if none costs any."""
        cause = max(self.limits, key=lambda name: self.limits[name])
        return cause if self.limits[cause] > 0 else "nothing"


def sparse_layers(plan: Plan) -> tuple[SparseLayer, ...]:
    """The plan's sparse layers in pipeline order. Raises UserError for a target that is gone."""
    return tuple(_layers(plan))


def _layers(plan: Plan) -> Iterator[SparseLayer]:
    requested, target = _requested(plan), _target(plan)
    found = {room.stage: room for room in rooms(plan, plan.masks)}
    for stage, record in zip(plan.stages.stages, plan.document.stages, strict=True):
        if record.id in found:
            yield _layer(_Costs(plan, stage, record, target), requested, found[record.id])


def _target(plan: Plan) -> Target:
    if not plan.document.recipe:
        return load_target(plan.document.target)
    given = make_recipe(plan.document.recipe, where="the plan's recipe").target
    return load_target(given.name, given.overrides)


def _requested(plan: Plan) -> dict[str, int]:
    """Weights that the recipe's first masks keep, by parameter."""
    if not plan.document.recipe.get("sparsity"):
        return {}
    recipe = make_recipe(plan.document.recipe, where="the plan's recipe")
    rules = configure(recipe.sparsity, recipe.seed).rules(plan.masks)
    return {name: int(rule.kept(0).sum()) for name, rule in rules.items()}


def _layer(costs: _Costs, requested: dict[str, int], room: Room) -> SparseLayer:
    names = [name for name in costs.stage.parameters if name in costs.plan.masks]
    masks = [costs.plan.masks[name] for name in names]
    weights = sum(mask.numel() for mask in masks)
    kept = sum(int(mask.sum()) for mask in masks)
    wanted = [requested[name] for name in names if name in requested]
    dense, now = costs.at(1.0), costs.now
    return SparseLayer(
        stage=costs.record.id,
        weights=weights,
        requested=1 - sum(wanted) / weights if len(wanted) == len(names) else None,
        actual=1 - kept / weights,
        ideal=weights / max(kept, 1),
        predicted=_cycles(dense) / max(_cycles(now), 1),
        break_even=_break_even(costs, _cycles(dense)),
        limits=costs.limits(),
        room=room,
    )


def _break_even(costs: _Costs, dense: int) -> float | None:
    """By bisection: more zeros never cost more."""
    low, high = 0, round(_HIGHEST / _STEP)
    if _cycles(costs.at(1 - _HIGHEST)) >= dense:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if _cycles(costs.at(1 - middle * _STEP)) < dense:
            high = middle
        else:
            low = middle
    return round(high * _STEP, 3)


def _cycles(table: StageTable) -> int:
    return int(table.total_cycles()[0])


class _Costs:
    """Prices one stage of a plan at its tiling under other masks and machines."""

    def __init__(self, plan: Plan, stage: Stage, record: StageRecord, target: Target) -> None:
        self.plan, self.stage, self.record, self.target = plan, stage, record, target
        self.layout = find_layout(stage.program)
        self.tilings = Tilings.of(record.tiling)
        self.step = UpdateStep.of(plan.training, plan.stages)
        self.tiles = plan_tiles(plan, stage, record, self.layout)
        self.now = self.price(self.tiles, target)

    def at(self, density: float) -> StageTable:
        """With random masks of a density."""
        tiles = {
            index: WeightTiles(m.out_features, m.in_features, m.taps, density=density)
            for index, m in self.layout.matrices.items()
        }
        return self.price(tiles, self.target)

    def price(self, tiles: dict[int, WeightTiles], target: Target) -> StageTable:
        """The stage's costs."""
        arguments = self.stage, self.stage.program, self.layout, tiles, target
        in_sequence, first = self.plan.training.in_sequence, self.record.backward_first
        of = *arguments, self.step, self.tilings, in_sequence
        shares = self.plan.training.load_of(self.stage)
        return price_stage(*of, shares=shares, backward_first=first, apart=self.record.is_apart)

    def limits(self) -> dict[str, int]:
        """Cycles by cause, see above."""
        sparsity, vector = self.target.sparsity, self.target.vector
        free = replace(
            self.target,
            sparsity=replace(sparsity, nonzero_cycles=0),
            vector=replace(vector, trigger_cycles=0),
        )
        direct = replace(self.target, sparsity=replace(sparsity, indexed_macs_per_cycle=1e9))
        operators = self.now.operators
        others = [o for o in operators if o.family not in _PRODUCTS]
        return {
            "issue": _cycles(self.now) - _cycles(self.price(self.tiles, free)),
            "index": _cycles(self.now) - _cycles(self.price(self.tiles, direct)),
            "imbalance": _cycles(self.now) - _cycles(self.price(self._even(), self.target)),
            "communication": sum(int(o.network[0]) for o in operators),
            "other work": sum(int(o.compute[0]) for o in others),
        }

    def _even(self) -> dict[int, WeightTiles]:
        """As many non-zeros, on every pair of features the same."""
        return {
            index: WeightTiles(
                tiles.out_features,
                tiles.in_features,
                tiles.taps,
                density=tiles.total / tiles.dense,
                is_even=True,
            )
            for index, tiles in self.tiles.items()
        }
