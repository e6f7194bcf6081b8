"""Rules about conservation: MACs, non-zeros and PEs add up from operator to plan."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose

from .violation import Finding, Subject

WORK = ("macs_dense", "macs_effective")


def macs_of_stage(subject: Subject) -> Iterator[Finding]:
    """A stage's MACs are the sum over its operators."""
    for stage in subject.plan.stages:
        for field in WORK:
            expected = sum(getattr(operator, field) for operator in stage.operators)
            if getattr(stage, field) != expected:
                yield Finding(f"{stage.id}.{field}", expected, getattr(stage, field))


def macs_of_plan(subject: Subject) -> Iterator[Finding]:
    """The plan's MACs are the sum over its stages."""
    for field in WORK:
        expected = sum(getattr(stage, field) for stage in subject.plan.stages)
        given = getattr(subject.plan.totals, field)
        if given != expected:
            yield Finding(f"totals.{field}", expected, given)


def nonzeros(subject: Subject) -> Iterator[Finding]:
    """0 <= total <= dense, the fullest PE holds at least the mean, and all PEs hold the total."""
    for stage in subject.plan.stages:
        held, where = stage.nonzeros, f"{stage.id}.nonzeros"
        if not 0 <= held.total <= held.dense:
            yield Finding(f"{where}.total", f"between 0 and {held.dense} (dense)", held.total)
        if held.per_pe_max < held.per_pe_mean:
            yield Finding(f"{where}.per_pe_max", f"at least {held.per_pe_mean}", held.per_pe_max)
        if held.per_pe_max > held.total:
            yield Finding(f"{where}.per_pe_max", f"at most {held.total} (total)", held.per_pe_max)
        if held.per_pe_max_unbalanced < held.per_pe_max:
            expected = f"at least {held.per_pe_max}, as balanced"
            yield Finding(f"{where}.per_pe_max_unbalanced", expected, held.per_pe_max_unbalanced)


def nonzeros_mean(subject: Subject) -> Iterator[Finding]:
    """All PEs together hold every weight once at least, and no more often than they must.

    Weights are split over in_split, out_split or both, and repeated for every other slice.
    """
    for stage in subject.plan.stages:
        held, tiling = stage.nonzeros, stage.tiling
        area = max(stage.part.height * stage.part.width, 1)
        least = held.total / area
        most = held.total / max(min(tiling.in_split, tiling.out_split), 1)
        if not least * (1 - 1e-9) <= held.per_pe_mean <= most * (1 + 1e-9):
            expected = f"between {least:.6g} and {most:.6g}"
            yield Finding(f"{stage.id}.nonzeros.per_pe_mean", expected, held.per_pe_mean)


def pes(subject: Subject) -> Iterator[Finding]:
    """PEs used are the regions' areas; the wafer share is used / usable."""
    totals = subject.plan.totals
    regions = {region.id: region.rectangle for region in subject.plan.regions}
    area = sum(region.height * region.width for region in regions.values())
    if totals.pes_used != area:
        yield Finding("totals.pes_used", area, totals.pes_used)
    grid = subject.plan.grid[0] * subject.plan.grid[1] * subject.plan.wafers
    if not 0 < totals.pes_usable <= grid:
        yield Finding("totals.pes_usable", f"between 1 and {grid} (all grids)", totals.pes_usable)


def wafer_share(subject: Subject) -> Iterator[Finding]:
    """wafer_share = pes_used / pes_usable, at most 1."""
    totals = subject.plan.totals
    expected = totals.pes_used / max(totals.pes_usable, 1)
    if not isclose(totals.wafer_share, expected, rel_tol=1e-9) or totals.wafer_share > 1:
        yield Finding("totals.wafer_share", expected, totals.wafer_share)
