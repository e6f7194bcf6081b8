"""A plan's stages cut into contiguous shards that take about equally long, one per device."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import inf

from ....backend.errors import UserError
from ....compiler.plan.program import Stages
from ....compiler.plan.stage_record import StageRecord
from ...tick.shard import Shards, bytes_across


def split_plan(records: Sequence[StageRecord], stages: Stages, count: int) -> Shards:
    """`count` shards of a plan's stages, by the work of their phases.

    A plan gives large stages more PEs, so that all take about the same number of cycles; the work
    of a stage is its cycles times its PEs.
    Raises UserError for more shards than stages.
    """
    costs = [record.pe_cycles for record in records]
    return split(costs, [bytes_across(stages, first) for first in range(len(stages))], count)


def split(costs: Sequence[int], cut_bytes: Sequence[int], count: int) -> Shards:
    """`count` shards whose most expensive one is as cheap as can be.

    `cut_bytes[s]` cross a cut before stage s; of equally good splits the one whose cuts carry the
    fewest bytes in all is taken. Raises UserError for more shards than stages.
    """
    if not 1 <= count <= len(costs):
        raise UserError(
            f"stages on {count} devices",
            expected=f"1 to {len(costs)} devices: each runs at least one of {len(costs)} stages",
            got=str(count),
            change="ask for fewer devices, or compile the plan with finer stages",
        )
    ends = _fewest_bytes(costs, cut_bytes, count, _smallest_largest(costs, count))
    return tuple(range(first, last) for first, last in pairwise((0, *ends)))


def _smallest_largest(costs: Sequence[int], count: int) -> int:
    """The cost of the most expensive of `count` shards, at best: bisection over what suffices."""
    low, high = max(costs), sum(costs)
    while low < high:
        middle = (low + high) // 2
        if _shards_within(costs, middle) <= count:
            high = middle
        else:
            low = middle + 1
    return low


def _shards_within(costs: Sequence[int], bound: int) -> int:
    """How few shards of at most `bound` there can be."""
    shards, filled = 1, 0
    for cost in costs:
        shards, filled = (shards, filled + cost) if filled + cost <= bound else (shards + 1, cost)
    return shards


def _fewest_bytes(
    costs: Sequence[int], cut_bytes: Sequence[int], count: int, bound: int
) -> tuple[int, ...]:
    """Where `count` shards of at most `bound` end, by dynamic programming over their number."""
    before = (0, *accumulate(costs))
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0, ())}
    for _ in range(count):
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for first, (paid, ends) in best.items():
            for last in range(first + 1, len(costs) + 1):
                if before[last] - before[first] > bound:
                    break
                more = paid + (cut_bytes[first] if first else 0)
                if more < longer.get(last, (inf,))[0]:
                    longer[last] = (more, (*ends, last))
        best = longer
    return best[len(costs)][1]
