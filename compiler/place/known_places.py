"""Where stages lie on machines that differ in nothing that placing reads.

before: 100 clocks, a sample from the host in 72 to 90 cycles      after: placed 19 times
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import fields, replace

from ..mapping.choices import Kernels, Placement
from ..mapping.pricing import Known
from ..plan.program import HOST, Stages
from ..stages.skip_streams import edge_bytes
from ..targets.reads import values_of
from ..targets.target import Target
from ..timing.host import input_cycles

KEPT = 64
_ABOUT = {"name", "vendor", "year", "description", "power", "advertised", "provenance", "ranges"}
_BY_THE_SECOND = {"clock_hz", "clock_max_hz", "host"}
"""On one wafer they set the host's cycles for a sample, and nothing else that placing reads."""
_READ = tuple(f.name for f in fields(Target) if f.name not in _ABOUT)
_READ_ON_ONE_WAFER = tuple(name for name in _READ if name not in _BY_THE_SECOND)


def known_place(
    known: Known, stages: Stages, kernels: Kernels, make: Callable[[], Placement]
) -> Placement:
    """What was made for these stages on a machine that is alike in all that is read; made if there
    is none. The `KEPT` used last are kept."""
    own = (id(stages), _groups(kernels), _read(stages, kernels.target))
    found = known.placements.pop(own, None)
    placement = make() if found is None else replace(found[1], target=kernels.target)
    known.placements[own] = stages, placement
    while len(known.placements) > KEPT:
        del known.placements[next(iter(known.placements))]
    return placement


def _groups(kernels: Kernels) -> Hashable:
    """Which stages share a region."""
    return tuple((s.stage, *(guest.stage for guest in s.guests)) for s in kernels.stages)


def _read(stages: Stages, target: Target) -> Hashable:
    if target.wafers > 1 or any(stage.off_wafer for stage in stages.stages):
        return values_of(target, _READ)
    fed = sum(edge_bytes(stages, *ends).forward for ends in stages.dag.edges if ends[0] == HOST)
    host = input_cycles(fed, target.clock_hz, target.host.bytes_per_s)
    return (host, *values_of(target, _READ_ON_ONE_WAFER))
