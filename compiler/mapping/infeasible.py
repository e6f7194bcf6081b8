"""The report for a stage no tiling of which fits a PE's memory, with each lever tried out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from ..kernels.held.memory import Post
from ..kernels.stage import StageTable
from ..plan.infeasible import InfeasibleReport, ProposedLever
from ..plan.program import Stage
from ..targets.load import known_targets, load_target
from ..targets.target import Target
from .contributors import memory_classes

_SPARSITIES = (0.75, 0.9)


class Reprice(Protocol):
    """Prices a stage under changed circumstances."""

    def __call__(
        self,
        stage: Stage,
        *,
        target: Target | None = None,
        density: float = 1.0,
        optimizer_states: int | None = None,
    ) -> StageTable: ...


def memory_report(
    stage: Stage, post: Post, target: Target, reprice: Reprice, most: int | None = None
) -> InfeasibleReport:
    """Demand and levers of the tiling that needs the least memory per PE, of which it may take at
    most so many bytes, or all."""
    table = reprice(stage)
    return InfeasibleReport(
        subject=f"stage {stage.index} ({stage.name})",
        target=target.name,
        demand=_least(table, post),
        bound=_bound(target, most),
        unit="bytes per PE",
        contributors=tuple(memory_classes(stage, table, post)),
        try_levers=lambda: _levers(stage, post, target, table, reprice, most),
    )


def _least(table: StageTable, post: Post) -> int:
    return int(table.memory.total(post).min())


def _bound(target: Target, most: int | None) -> int:
    return target.capacity_bytes if most is None else min(most, target.capacity_bytes)


def _levers(
    stage: Stage,
    post: Post,
    target: Target,
    table: StageTable,
    reprice: Reprice,
    most: int | None,
) -> Iterator[ProposedLever]:
    bound = _bound(target, most)
    if bound < target.capacity_bytes:
        yield ProposedLever("all of a PE's memory", _least(table, post), target.capacity_bytes)
    if table.nonzeros_total == table.nonzeros_dense and stage.parameters:
        for sparsity in _SPARSITIES:
            sparse = reprice(stage, density=1.0 - sparsity)
            change = f"make its weights {sparsity:.0%} sparse"
            yield ProposedLever(change, _least(sparse, post), bound)
    if post.delay:
        shorter = replace(post, delay=post.delay // 2)
        change = f"coarser stages, so that its delay halves to {shorter.delay}"
        yield ProposedLever(change, _least(table, shorter), bound)
    yield ProposedLever("a dtype of half the width", _half_width(table, post), bound)
    yield ProposedLever(
        "an optimizer without state", _least(reprice(stage, optimizer_states=0), post), bound
    )
    yield from _larger_targets(stage, post, target, reprice, most)


def _half_width(table: StageTable, post: Post) -> int:
    """All classes but the normalization state, which stays float32, shrink to half."""
    kept = table.memory.normalization
    return int((kept + (table.memory.total(post) - kept + 1) // 2).min())


def _larger_targets(
    stage: Stage, post: Post, target: Target, reprice: Reprice, most: int | None
) -> Iterator[ProposedLever]:
    grid = replace(target.grid, rows=2 * target.rows, columns=2 * target.columns)
    demand = _least(reprice(stage, target=replace(target, grid=grid)), post)
    change = "four times the PEs (rows and columns doubled)"
    yield ProposedLever(change, demand, _bound(target, most))
    for name in known_targets():
        other = load_target(name)
        if _tensor_bytes(other) > _tensor_bytes(target):
            demand = _least(reprice(stage, target=other), post)
            yield ProposedLever(f"target {name}", demand, _bound(other, most))


def _tensor_bytes(target: Target) -> int:
    return target.pes * target.capacity_bytes
