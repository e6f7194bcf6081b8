"""Totals of a plan: its steady pace, the latency of a sample, work and shares of the machine."""

from __future__ import annotations

from collections.abc import Sequence

from ...backend.errors import UserError
from ..plan.document import Totals
from ..plan.stage_record import StageRecord
from ..targets.target import Target
from .first_sample import latency_cycles
from .layout import Layout
from .pace import Pace, pace_of


def totals(
    layout: Layout, stages: Sequence[StageRecord], target: Target, wafers_least: int
) -> Totals:
    """The totals of `stages`, which lie as `layout` says.

    Raises UserError if they would wait for each other for ever.
    """
    pace = pace_of(layout)
    _check(layout, pace)
    used = sum(stage.region.area for stage in stages)
    busy = sum(stage.region.area * stage.cycles.total_cycles for stage in stages)
    return Totals(
        initiation_interval_cycles=pace.interval_cycles,
        latency_cycles=latency_cycles(pace.graph),
        host_latency_cycles=pace.graph.wiring.host_latency_cycles,
        throughput_samples_per_s=layout.clock_hz / pace.interval_cycles,
        utilisation=busy / (used * pace.interval_cycles),
        bound_by=str(pace.bound),
        pes_used=used,
        pes_usable=target.all_pes,
        wafer_share=used / target.all_pes,
        wafers_used=1 + max(stage.region.wafer for stage in stages),
        wafers_least=wafers_least,
        macs_dense=sum(stage.macs_dense for stage in stages),
        macs_effective=sum(stage.macs_effective for stage in stages),
        max_memory_per_pe_bytes=max(stage.memory_per_pe.total_bytes for stage in stages),
        memory_capacity_per_pe_bytes=target.capacity_bytes,
    )


def _check(layout: Layout, pace: Pace) -> None:
    if pace.is_stuck:
        raise UserError(
            layout.name,
            expected="stages that never wait for each other for ever",
            got=f"a cycle of waits through {pace.bound.at}",
            change="deeper FIFOs",
        )
