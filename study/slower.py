"""Why a model trains more slowly on one machine than on another: clock, then cycles by their cause.

The interval of a plan is that of what bounds it. Held against the same stage on the other machine,
its arithmetic and its communication say which of the machine's constants make the difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..compiler.plan.document import PlanDocument
from ..compiler.plan.stage_record import StageRecord
from ..compiler.targets import Target

_ARITHMETIC = (
    "vector.issue_cycles",
    "vector.trigger_cycles",
    "vector.special_cycles",
    "sparsity.nonzero_cycles",
    "sram.read_bytes_per_cycle",
    "sram.write_bytes_per_cycle",
)
_COMMUNICATION = (
    "noc.ramp_cycles",
    "noc.hop_cycles",
    "noc.collective_start_cycles",
    "noc.link_bytes_per_cycle",
)
_NOTABLE = 1.02


def why_slower(slow: PlanDocument, fast: PlanDocument) -> str:
    """One sentence about two plans of one model: how much slower `slow` is, how much of that is the
    clock, and what takes more cycles in the stage, or the stream, that bounds it."""
    cycles = slow.totals.initiation_interval_cycles / fast.totals.initiation_interval_cycles
    clock = slow.clock_hz / fast.clock_hz
    parts = [f"{clock:.2f} x the clock", f"{cycles:.2f} x the cycles per sample"]
    rate = clock / cycles
    text = f"{slow.target} trains {rate:.2f} x as fast as {fast.target}: {', '.join(parts)}"
    stage = _bounding(slow)
    if stage is None:
        return f"{text}, bound by {slow.totals.bound_by}"
    other = next((one for one in fast.stages if one.id == stage.id), None)
    if other is None:
        return f"{text}, bound by {slow.totals.bound_by}"
    return f"{text}, bound by {stage.id}: {'; '.join(_causes(slow, fast, stage, other))}"


def _bounding(plan: PlanDocument) -> StageRecord | None:
    at = plan.totals.bound_by.partition(": ")[2]
    return next((stage for stage in plan.stages if stage.id == at), None)


def _causes(
    slow: PlanDocument, fast: PlanDocument, stage: StageRecord, other: StageRecord
) -> Iterator[str]:
    """What of the stage takes more cycles, the larger difference first, with the constants that are
    worse. On fewer PEs there is more arithmetic for each; communication that costs more is why a
    stage is not spread over more of them."""
    yield f"{stage.region.area:,} PEs against {other.region.area:,}"
    rates = tuple(c.name for c in slow.provenance if c.name.startswith("compute."))
    kinds = (
        ("arithmetic", "compute_cycles", (*_ARITHMETIC, *rates)),
        ("communication", "network_cycles", _COMMUNICATION),
    )
    has_fewer = stage.region.area < other.region.area
    found = []
    for name, field, constants in kinds:
        mine, its = (sum(getattr(o, field) for o in s.operators) for s in (stage, other))
        text = f"{name} {mine:,} cycles against {its:,}"
        asked = mine > its * _NOTABLE or (has_fewer and name == "communication")
        worse = list(_worse(slow, fast, constants)) if asked else []
        found.append((its - mine, text + (f" ({', '.join(worse)})" if worse else "")))
    yield from (text for _, text in sorted(found))


def _worse(slow: PlanDocument, fast: PlanDocument, names: Iterable[str]) -> Iterator[str]:
    """Constants that make the first machine slower: more cycles, or less in a cycle."""
    mine = {constant.name: constant.value for constant in slow.provenance}
    its = {constant.name: constant.value for constant in fast.provenance}
    for name in names:
        own, other = mine.get(name), its.get(name)
        if isinstance(own, int | float) and isinstance(other, int | float) and own != other:
            takes_cycles = name.endswith("_cycles")
            if (own > other) == takes_cycles and _is_used(slow, name):
                yield f"{name} {own:g} against {other:g}"


def _is_used(plan: PlanDocument, name: str) -> bool:
    """Rates of a type count if the plan computes in it."""
    dtypes = {tensor.dtype for tensor in (*plan.parameters, *plan.inputs)}
    return not name.startswith("compute.") or name.split(".")[1] in dtypes


def range_of_rate(plan: PlanDocument, target: Target) -> str:
    """What the range of the clock makes of the plan's rate; empty without one."""
    if "clock_hz" not in target.ranges:
        return ""
    low, high = target.ranges["clock_hz"]
    rates = (hz / plan.totals.initiation_interval_cycles for hz in (low, high))
    spread = " to ".join(f"{rate:,.0f}" for rate in rates)
    return (
        f"{target.name}: {spread} samples/s, for a clock of {low / 1e9:g} to {high / 1e9:g} GHz"
        f" ({target.clock_hz / 1e9:g} taken)"
    )
