"""What it takes to put a new map on a machine, and after how many samples that pays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from ..compiler.mapping.pricing import Pricing
from ..compiler.plan.document import PlanDocument
from ..compiler.plan.plan import Plan
from ..compiler.plan.stage_record import Rectangle
from ..compiler.targets.target import Target
from ..sim import simulate


@dataclass(frozen=True)
class RemapPrice:
    """Cycles that the pipeline stands still for a new map; cycles of the slowest region where the
    plan put the weights, under the masks that it has now; cycles between two samples on the new
    map."""

    standstill_cycles: int
    as_planned_cycles: int
    new_map_cycles: int

    @property
    def pays_after_samples(self) -> int | None:
        """None if the new map is no faster."""
        gained = self.as_planned_cycles - self.new_map_cycles
        return math.ceil(self.standstill_cycles / gained) if gained > 0 else None

    def text(self) -> str:
        """One line."""
        after = self.pays_after_samples
        pays = "is never won back" if after is None else f"pays after {after:,} samples"
        return (
            f"the pipeline stands still for {self.standstill_cycles:,} cycles while it is laid out"
            f" anew, which {pays}: {self.as_planned_cycles:,} cycles in the slowest region with"
            f" these masks on the old map, {self.new_map_cycles:,} between samples on the new one"
        )


def remap_price(plan: Plan, new: PlanDocument, target: Target) -> RemapPrice:
    """Of a plan whose masks are those of now, and its new map on the same machine."""
    return RemapPrice(
        standstill_cycles(plan, plan.masks, target),
        as_planned_cycles(plan, plan.masks, target),
        math.ceil(new.totals.initiation_interval_cycles),
    )


def as_planned_cycles(
    plan: Plan, masks: Mapping[str, Tensor] | Mapping[str, np.ndarray], target: Target
) -> int:
    """Cycles per sample of the slowest region under these masks, at the tilings of the plan. Stages
    that share one have no masks."""
    records = plan.document.stages
    users = Counter(record.region for record in records)
    training = replace(plan.training, masks={**plan.training.masks, **masks})
    shared = len(users) < len(records)
    pricing = Pricing(plan.stages, target, training, regions_shared=shared)
    cycles = Counter[Rectangle]()
    for stage, record in zip(plan.stages.stages, records, strict=True):
        if users[record.region] > 1:
            cycles[record.region] += record.pace_cycles
        else:
            table = pricing.reprice(stage, tiling=record.tiling, apart=record.is_apart)
            own = int(table.total_cycles()[0]), int(table.stream_cycles[0])
            cycles[record.region] = max(own)
    return max(cycles.values())


def standstill_cycles(plan: Plan, masks: Mapping[str, Tensor], target: Target) -> int:
    """The pipeline drains and fills again, and every non-zero with its index and optimizer state
    goes out to the host and comes back, at the host's bandwidth each way."""
    report = simulate(plan.document, 1000)
    ways = 2 * _moved_bytes(plan, masks, target) * target.clock_hz / target.host.bytes_per_s
    return report.fill_cycles + report.drain_cycles + round(ways)


def _moved_bytes(plan: Plan, masks: Mapping[str, Tensor], target: Target) -> int:
    shares, moved = plan.training.shares_of_zeros, 0
    for stage in plan.stages.stages:
        for name, spec in zip(stage.parameters, stage.program.parameters, strict=True):
            values = round(spec.elements * (1 - shares.get(name, 0.0)))
            values = int(masks[name].sum()) if name in masks else values
            index = target.sparsity.index_bytes if name in masks or name in shares else 0
            moved += values * (spec.torch_dtype.itemsize * (1 + plan.training.optimizer_states))
            moved += values * index
    return moved
