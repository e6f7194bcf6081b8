"""Routes between regions: along the row first, then along the column."""

from __future__ import annotations

import networkx as nx

from ..mapping.choices import Placement
from ..plan.program import HOST
from ..plan.stage_record import Rectangle

Corner = tuple[int, int]


def centre_pe(region: Rectangle) -> Corner:
    """(row, column) of the PE at a region's centre; below or right of it for even sizes."""
    return region.row + region.height // 2, region.column + region.width // 2


def route(source: Rectangle, sink: Rectangle) -> tuple[tuple[Corner, ...], int]:
    """Corners of the route from centre to centre, and its length in hops.

    Two corners if the route is straight, three if it turns.
    """
    (from_row, from_column), (to_row, to_column) = centre_pe(source), centre_pe(sink)
    corners = ((from_row, from_column), (from_row, to_column), (to_row, to_column))
    hops = abs(to_row - from_row) + abs(to_column - from_column)
    return tuple(dict.fromkeys(corners)), hops


def wire_length(placement: Placement, dag: nx.DiGraph) -> int:
    """Hops of all edges between stages, centre to centre."""
    columns = placement.target.columns
    regions = {placed.stage: placed.region.on_chain(columns) for placed in placement.placed}
    edges = [edge for edge in dag.edges if HOST not in edge]
    return sum(route(regions[source], regions[sink])[1] for source, sink in edges)
