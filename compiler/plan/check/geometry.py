"""Rules about rectangles: inside the grid, disjoint, as large as their tiling says."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from ..stage_record import ALGORITHMS, PURPOSES, Rectangle, Region, StageRecord, Tiling
from .regions.dealt import size_of
from .violation import Finding, Subject


def region_uses(subject: Subject) -> Iterator[Finding]:
    """A stage runs on one region for all its phases, or on one for its forward and one for backward
    and update, as long as they take; equal ids are equal regions."""
    known: dict[str, Region] = {}
    for stage in subject.plan.stages:
        for use in stage.uses:
            where, region = f"{stage.id}.uses.{use.region.id}", use.region
            if use.purpose not in PURPOSES:
                yield Finding(f"{where}.purpose", f"one of {', '.join(PURPOSES)}", use.purpose)
            if known.setdefault(region.id, region) != region:
                yield Finding(where, "one region by this id", "two")
        purposes = tuple(use.purpose for use in stage.uses)
        if purposes not in (("all",), ("forward", "backward")):
            yield Finding(f"{stage.id}.uses", "one for all, or forward and backward", purposes)
        cycles = stage.cycles
        forward, after = cycles.forward_cycles, cycles.backward_cycles + cycles.update_cycles
        expected = [forward, after] if len(purposes) > 1 else [forward + after]
        given = [use.cycles for use in stage.uses]
        if given != expected:
            yield Finding(f"{stage.id}.uses.cycles", f"{expected}, as its phases", given)


def inside_grid(subject: Subject) -> Iterator[Finding]:
    """Every region has a positive size and lies within the plan's grid."""
    rows, columns = subject.plan.grid
    for stage in subject.plan.stages:
        region = stage.region
        positive = region.height > 0 and region.width > 0 and region.row >= 0 and region.column >= 0
        if not (
            positive
            and region.row + region.height <= rows
            and region.column + region.width <= columns
        ):
            yield Finding(f"{stage.id}.region", f"within {rows} x {columns} PEs", _text(region))


def wafers_in_order(subject: Subject) -> Iterator[Finding]:
    """The pipeline begins on wafer 0 and fills one wafer after the other; totals count them. A
    region of several stages lies at the place of any of them, perhaps on a wafer of its own."""
    together = {min(users): users for users in subject.users if len(users) > 1}
    stages, totals = subject.plan.stages, subject.plan.totals
    yield from _alone_in_order(subject, {stages[first].region.wafer for first in together})
    yield from _shared_between(subject, together.values())
    wafers = {stage.region.wafer for stage in stages}
    used = len(wafers)
    if wafers != set(range(used)) and together:
        yield Finding("regions", f"wafers 0 to {used - 1}", sorted(wafers))
    if totals.wafers_used != used:
        yield Finding("totals.wafers_used", used, totals.wafers_used)
    if not min(1, used) <= totals.wafers_least <= used:
        expected = f"between 1 and the {used} used"
        yield Finding("totals.wafers_least", expected, totals.wafers_least)


def _alone_in_order(subject: Subject, shared: Collection[int]) -> Iterator[Finding]:
    """Stages with regions of their own leave out no wafer but those of `shared` regions."""
    plan, before = subject.plan, -1
    for stage, users in zip(plan.stages, subject.users, strict=True):
        if len(users) > 1:
            continue
        given, least, most = stage.region.wafer, max(before, 0), before + 1
        while most in shared:
            most += 1
        if not least <= given <= min(most, plan.wafers - 1):
            expected = f"{least} or the next, of {plan.wafers}"
            yield Finding(f"{stage.id}.region.wafer", expected, given)
        before = max(before, given)


def _shared_between(subject: Subject, together: Iterable[set[int]]) -> Iterator[Finding]:
    """A region of several stages lies where one of them would: no stage with a region of its own
    that comes before that one is on a later wafer, and none after it on an earlier one."""
    stages = subject.plan.stages
    alone = [(n, s.region.wafer) for n, s in enumerate(stages) if len(subject.users[n]) == 1]
    for users in together:
        given = stages[min(users)].region.wafer
        steps = {user: [(wafer - given) * (n - user) for n, wafer in alone] for user in users}
        if all(min(own, default=0) < 0 for own in steps.values()):
            where = " + ".join(stages[user].id for user in sorted(users))
            yield Finding(f"{where}.region.wafer", "that of stages beside one of them", given)


def disjoint(subject: Subject) -> Iterator[Finding]:
    """No PE belongs to two regions; stages may have the same one. A sweep down the rows keeps only
    regions that still reach."""
    active: list[StageRecord] = []
    for stage in sorted(subject.plan.stages, key=lambda stage: stage.region.row):
        region = stage.region
        active = [one for one in active if one.region.row + one.region.height > region.row]
        for other in active:
            shares = region.wafer == other.region.wafer and _share_columns(region, other.region)
            shares = shares and stage.uses[0].region != other.uses[0].region
            if shares and region.height > 0:
                where = f"{other.id}.region and {stage.id}.region"
                yield Finding(where, "disjoint", f"{_text(other.region)} and {_text(region)}")
        active.append(stage)


def _share_columns(a: Rectangle, b: Rectangle) -> bool:
    return max(a.column, b.column) < min(a.column + a.width, b.column + b.width)


def tiling_fills_region(subject: Subject) -> Iterator[Finding]:
    """Splits are positive; in_split * space_split rows and out_split columns make the region, or
    the other way round if it lies turned.

    Rows are interleaved only where that is another order. Rings and SUMMA cut three axes alike, and
    sums to all of a line leave the positions whole.
    """
    for stage in subject.plan.stages:
        tiling, region = stage.tiling, stage.part
        size = size_of(tiling)
        size = size[::-1] if stage.uses[0].region.turned else size
        if size != (region.height, region.width):
            expected = f"{region.height} x {region.width} PEs, as the region"
            yield Finding(f"{stage.id}.tiling", expected, f"{size[0]} x {size[1]} PEs")
        yield from tiling_findings(f"{stage.id}.tiling", tiling)


def tiling_findings(where: str, tiling: Tiling) -> Iterator[Finding]:
    """What a tiling cannot be, whatever its stage consists of."""
    for name in ("in_split", "space_split", "out_split"):
        if getattr(tiling, name) < 1:
            yield Finding(f"{where}.{name}", "at least 1", getattr(tiling, name))
    if tiling.interleaved and min(tiling.in_split, tiling.space_split) == 1:
        expected = "false: with one slice of inputs or of positions rows have one order"
        yield Finding(f"{where}.interleaved", expected, "true")
    splits = {tiling.in_split, tiling.space_split, tiling.out_split}
    if tiling.algorithm not in ALGORITHMS:
        yield Finding(f"{where}.algorithm", f"one of {', '.join(ALGORITHMS)}", tiling.algorithm)
    elif tiling.algorithm in ("ring", "summa") and (len(splits) > 1 or tiling.interleaved):
        yield Finding(where, f"three equal splits in blocks for {tiling.algorithm}", tiling)
    elif tiling.algorithm == "all-reduce" and tiling.space_split > 1:
        yield Finding(f"{where}.space_split", "1 for all-reduce", tiling.space_split)
    if not 0 <= tiling.groups <= max(tiling.in_split, tiling.out_split):
        yield Finding(f"{where}.groups", "0, or one for each PE of a line at most", tiling.groups)


def _text(region: Rectangle) -> str:
    place = f"({region.row}, {region.column}) {region.height} x {region.width}"
    return f"{place} of wafer {region.wafer}" if region.wafer else place
