"""How wide a stream between two regions is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .document import HOST, EdgeRecord
from .stage_record import Rectangle, StageRecord


def parallel_links(ends: Iterable[Rectangle]) -> int:
    """Mesh links a stream uses side by side: the longer side of its smaller end, in PEs.

    A region sends and receives through one side, each PE of it over a link of its own; routers
    turn every lane by itself, so that can be the longer side. The host, which streams in along the
    machine's whole edge, is never the narrower end: leave it out.
    """
    return min(max(region.height, region.width) for region in ends)


def wafers_between(edge: EdgeRecord, stages: Sequence[StageRecord]) -> range:
    """The links between wafers that an edge passes: link w joins wafer w and the next one.

    The host feeds every wafer over a link of its own.
    """
    if edge.source == HOST:
        return range(0)
    return range(stages[edge.source].region.wafer, stages[edge.sink].region.wafer)


def wafer_link_bytes(
    edges: Iterable[EdgeRecord], stages: Sequence[StageRecord]
) -> dict[int, tuple[int, int]]:
    """By link between wafers, the bytes of one sample: (activations onwards, gradients back)."""
    found: dict[int, tuple[int, int]] = {}
    for edge in edges:
        for link in wafers_between(edge, stages):
            onwards, back = found.get(link, (0, 0))
            found[link] = onwards + edge.forward_bytes, back + edge.gradient_bytes
    return found
