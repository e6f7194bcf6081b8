"""How wide a stream between two regions is."""

from __future__ import annotations

from collections.abc import Iterable

from .document import Rectangle


def parallel_links(ends: Iterable[Rectangle]) -> int:
    """Mesh links a stream uses side by side: the longer side of its smaller end, in PEs.

    A region sends and receives through one side, each PE of it over a link of its own; routers
    turn every lane by itself, so that can be the longer side. The host, which streams in along the
    machine's whole edge, is never the narrower end: leave it out.
    """
    return min(max(region.height, region.width) for region in ends)
