"""Where a layout leaves room on its wafer, it moves as a whole past slow cores.

before: 52 x 8 PEs from (0, 0) on, a slow core at (5, 7) in one of their regions
after:  52 x 8 PEs from (6, 0) or from (0, 8) on
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from ..mapping.choices import Placement

_CORES_TRIED = 16


def shifted(placement: Placement) -> Iterator[Placement]:
    """The placement, then those with its first row or column just past one of the slow cores.

    Moved are placements on one wafer, never off it; of many slow cores the first few count.
    """
    yield placement
    regions = [placed.region for placed in placement.placed]
    if any(region.wafer for region in regions):
        return
    target = placement.target
    room = (
        target.rows - max(region.row + region.height for region in regions),
        target.columns - max(region.column + region.width for region in regions),
    )
    top, left = min(r.row for r in regions), min(r.column for r in regions)
    for row, column in islice(_slow_cores(placement), _CORES_TRIED):
        down, right = row + 1 - top, column + 1 - left
        if 0 < down <= room[0]:
            yield _moved(placement, down, 0)
        if 0 < right <= room[1]:
            yield _moved(placement, 0, right)


def _slow_cores(placement: Placement) -> Iterator[tuple[int, int]]:
    """(row, column) of slow cores, rows as the program sees them."""
    target = placement.target
    if target.defects is None:
        return
    seen = {row: number for number, row in enumerate(target.working_rows)}
    for row, column, _ in target.defects.slow():
        if row in seen:
            yield seen[row], column


def _moved(placement: Placement, down: int, right: int) -> Placement:
    placed = tuple(
        replace(
            one,
            region=replace(one.region, row=one.region.row + down, column=one.region.column + right),
        )
        for one in placement.placed
    )
    return replace(placement, placed=placed)
