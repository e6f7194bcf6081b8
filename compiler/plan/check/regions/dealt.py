"""How a tensor lies on a region, written out from docs/plan-format.md."""

from __future__ import annotations

from math import ceil

from ...stage_record import Rectangle, Tiling


def size_of(tiling: Tiling) -> tuple[int, int]:
    """Rows and columns of PEs. Of a square region rows hold slices of the positions only."""
    if tiling.algorithm in ("ring", "summa"):
        return tiling.space_split, tiling.out_split
    return tiling.in_split * tiling.space_split, tiling.out_split


def dealt(items: int, tiling: Tiling, region: Rectangle) -> int:
    """Of `items`, those on the fullest PE: they are dealt out over the rows, then along each row;
    or over the shorter line of PEs, where all lines hold the same."""
    height, width = max(region.height, 1), max(region.width, 1)
    if tiling.algorithm == "all-reduce":
        return ceil(items / min(height, width))
    return ceil(ceil(items / height) / width)
