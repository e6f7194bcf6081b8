"""How wide a stream between two regions is, and which links between wafers it passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..plan.document import HOST, EdgeRecord
from ..plan.stage_record import Rectangle

Ints = NDArray[np.int64]


def parallel_links(ends: Iterable[Rectangle]) -> int:
    """Mesh links a stream uses side by side: the longer side of its smaller end, in PEs.

    A region sends and receives through one side, each PE of it over a link of its own; routers
    turn every lane by itself, so that can be the longer side. The host, which streams in along the
    machine's whole edge, is never the narrower end: leave it out.
    """
    return min(int(side_links(region.height, region.width)) for region in ends)


def side_links(height: int | Ints, width: int | Ints) -> Ints:
    """Links of the longer side of a region, or of many."""
    return np.maximum(height, width)


def wafers_between(edge: EdgeRecord, regions: Sequence[Rectangle]) -> range:
    """The links between wafers that an edge passes: link w joins wafer w and the next one.

    The host feeds every wafer over a link of its own.
    """
    if edge.source == HOST:
        return range(0)
    ends = regions[edge.source].wafer, regions[edge.sink].wafer
    return range(min(ends), max(ends))


def is_backwards(edge: EdgeRecord, regions: Sequence[Rectangle]) -> bool:
    """Whether an edge runs from a later wafer to one before it: into a region of several stages."""
    return edge.source != HOST and regions[edge.source].wafer > regions[edge.sink].wafer


def is_inside(edge: EdgeRecord, regions: Sequence[Rectangle]) -> bool:
    """Whether an edge joins two stages of one region."""
    return edge.source != HOST and regions[edge.source] == regions[edge.sink]


def wafer_link_bytes(
    edges: Iterable[EdgeRecord], regions: Sequence[Rectangle]
) -> dict[int, tuple[int, int]]:
    """By link between wafers, the bytes of one sample in both directions: (onwards, back)."""
    found: dict[int, tuple[int, int]] = {}
    for edge in edges:
        both = edge.forward_bytes, edge.backward_bytes
        both = both[::-1] if is_backwards(edge, regions) else both
        for link in wafers_between(edge, regions):
            onwards, back = found.get(link, (0, 0))
            found[link] = onwards + both[0], back + both[1]
    return found
