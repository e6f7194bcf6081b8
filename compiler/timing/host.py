"""What the host allows: cycles between two samples that its link and its latency set.

Into the machine go the inputs of a sample and, of stages that keep their FIFOs off the wafer, what
they saved of an earlier one; out go the FIFOs' bytes, on links of their own. Both cross the side of
the stage's region. A sample that left a stage in one tick is to be back `delay` - 3 ticks later
(stages/kept/off_wafer.py), in which there must be time for two transactions: so the latency sets an
interval too. The mesh links between regions and the machine's edge are not counted: all of them
together carry many times what the host's do.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from ..plan.document import HOST
from ..plan.stage_record import SLOTS_OFF_WAFER
from .layout import Layout, StageSite
from .streams import parallel_links


def host_cycles(layout: Layout) -> int:
    """Cycles between two samples that the host needs at least; 0 if nothing comes from it."""
    return max((cycles for _, cycles in host_paces(layout)), default=0)


def host_paces(layout: Layout) -> Iterator[tuple[str, int]]:
    """What keeps the host from sending samples faster, and the cycles between two of them."""
    fed = sum(edge.forward_bytes for edge in layout.edges if edge.source == HOST)
    away = [site for site in layout.sites if site.off_wafer_bytes]
    arriving = fed + sum(site.off_wafer_bytes for site in away)
    if arriving:
        name = "activations off the wafer" if away else "input bandwidth"
        yield name, input_cycles(arriving, layout.clock_hz, layout.constant("host.bytes_per_s"))
    for site in away:
        yield f"activations of {site.id}, side of the region", _side_cycles(layout, site)
        yield f"activations of {site.id}, back in time", _deadline_cycles(layout, site)


def input_cycles(arriving: int, clock_hz: float, bytes_per_s: float) -> int:
    """Cycles in which so many bytes come from the host."""
    return ceil(arriving * clock_hz / bytes_per_s)


def _side_cycles(layout: Layout, site: StageSite) -> int:
    """A sample through one side of a region; as many bytes go out as come in."""
    links = parallel_links((site.end,))
    return ceil(site.off_wafer_bytes / (links * layout.constant("noc.link_bytes_per_cycle")))


def _deadline_cycles(layout: Layout, site: StageSite) -> int:
    """Two transactions in the ticks between a sample's way out and its way back."""
    ticks = site.delay + 1 - SLOTS_OFF_WAFER
    return ceil(2 * layout.constant("host.latency_s") * layout.clock_hz / ticks)
