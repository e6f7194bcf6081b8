"""A plan in a few lines: what a newcomer reads first."""

from __future__ import annotations

from collections.abc import Iterator

from ..document import Demand, PlanDocument
from ..evidence import Figure, figures_of
from ..stage_record import StageRecord, shared_bytes, stages_by_region
from .numbers import cycles, duration, facts, percent, quantity

_LEAST = 0.0005
"""Of a share of the wafer that is printed as a number."""


def summarize(plan: PlanDocument) -> str:
    """Stages, PEs, throughput, work and memory of the plan, one fact per line."""
    return "\n".join((headline(plan), facts(totals(plan))))


def headline(plan: PlanDocument) -> str:
    """'resnet20 on wse2: 34 stages, ...' in one line."""
    delays = [stage.delay for stage in plan.stages]
    return (
        f"{plan.model} on {plan.target}: {len(plan.stages)} stages ({plan.granularity},"
        f" {plan.mode}), delays {max(delays, default=0)}..{min(delays, default=0)}"
    )


def totals(plan: PlanDocument) -> tuple[tuple[str, str], ...]:
    """The plan's totals as (name, readable value)."""
    sums, figures = plan.totals, figures_of(plan)
    return (
        (
            "PEs",
            f"{sums.pes_used:,} of {sums.pes_usable:,} usable ({_of_wafer(sums.wafer_share)})",
        ),
        *_wafers(plan),
        *_apart(plan),
        (
            "throughput",
            f"{rate(figures.throughput)}, one sample every"
            f" {cycles(sums.initiation_interval_cycles)} at {quantity(plan.clock_hz, 'Hz')}",
        ),
        (
            "area-time",
            f"{quantity(sums.pes_used * sums.initiation_interval_cycles)} PE cycles a sample",
        ),
        (
            "latency",
            latency(sums.latency_cycles, sums.host_latency_cycles, plan.clock_hz, figures.latency),
        ),
        ("utilisation", f"{percent(sums.utilisation)} of the PEs used"),
        ("bound by", sums.bound_by),
        ("work", _work(plan)),
        ("weights", _weights(plan)),
        ("memory", _memory(plan)),
        *_levers(plan),
    )


def _apart(plan: PlanDocument) -> Iterator[tuple[str, str]]:
    """How many stages have two regions, where some have or may have."""
    found = sum(stage.is_apart for stage in plan.stages)
    pipeline = plan.recipe.get("pipeline")
    is_asked = isinstance(pipeline, dict) and pipeline.get("mappings") == "apart"
    if found or is_asked:
        yield "apart", f"{found} of {len(plan.stages)} stages have a region for the forward alone"


def _of_wafer(share: float) -> str:
    """A few PEs are more than nothing."""
    return percent(share) if share >= _LEAST else "under 0.1 %"


def _wafers(plan: PlanDocument) -> tuple[tuple[str, str], ...]:
    """Only of a plan for several wafers."""
    if plan.wafers == 1:
        return ()
    sums = plan.totals
    used = f"{sums.wafers_used} of {plan.wafers} used, {sums.wafers_least} needed at least"
    return (("wafers", used),)


def rate(figure: Figure) -> str:
    """'138 k samples/s (-9 % .. +10 %)'."""
    return f"{quantity(figure.value)} {figure.unit}{figure.bar()}"


def latency(whole_cycles: int, host_cycles: int, clock_hz: float, figure: Figure) -> str:
    """Of a sample alone, to its loss, with the error bar of `figure`, and its parts: '217 us (-9 %
    .. +10 %) to the loss: 200 us until ...'."""
    if clock_hz <= 0:
        return f"{whole_cycles:,} cycles{figure.bar()} to the loss of a sample alone"
    text = f"{duration(whole_cycles / clock_hz)}{figure.bar()} to the loss of a sample alone"
    if host_cycles:
        inside = duration((whole_cycles - host_cycles) / clock_hz)
        text += f": {duration(host_cycles / clock_hz)} to the host's first byte, {inside} from it"
    return text


def _work(plan: PlanDocument) -> str:
    sums = plan.totals
    skipped = 1 - sums.macs_effective / sums.macs_dense if sums.macs_dense else 0.0
    return (
        f"{quantity(sums.macs_dense)} MACs per sample forward, backward and update,"
        f" {quantity(sums.macs_effective)} of them done ({percent(skipped)} skipped as zeros)"
    )


def _weights(plan: PlanDocument) -> str:
    dense = sum(stage.nonzeros.dense for stage in plan.stages)
    held = sum(stage.nonzeros.total for stage in plan.stages)
    zeros = 1 - held / dense if dense else 0.0
    return f"{held:,} of {dense:,} non-zero ({percent(zeros)} sparse){_balance(plan)}"


def _balance(plan: PlanDocument) -> str:
    """What balancing gained, over all stages together."""
    before = sum(stage.nonzeros.per_pe_max_unbalanced for stage in plan.stages)
    after = sum(stage.nonzeros.per_pe_max for stage in plan.stages)
    if after >= before:
        return ""
    return f"; balancing took {percent(1 - after / before)} off the fullest PEs"


def _levers(plan: PlanDocument) -> list[tuple[str, str]]:
    """What `fit: auto` did, one change per line."""
    return [
        ("made to fit", f"{lever.change}: {_demand(lever.before)} -> {_demand(lever.after)}")
        for lever in plan.fit
    ]


def _demand(demand: Demand) -> str:
    """A demand; with several stages over their PEs' memory also by how much in all."""
    text = f"{demand.amount:,} of {demand.bound:,} {demand.unit}"
    in_all = demand.excess > demand.amount - demand.bound
    return (
        f"{text} ({demand.excess:,} too many in all stages)" if in_all and not demand.fits else text
    )


def _memory(plan: PlanDocument) -> str:
    sums = plan.totals

    def held(stages: tuple[StageRecord, ...]) -> int:
        return shared_bytes([stage.memory_per_pe for stage in stages])

    fullest = max(stages_by_region(plan.stages), key=held, default=())
    names = " and ".join(stage.id for stage in fullest)
    name = f", in stage {names}" if fullest else ""
    return (
        f"{sums.max_memory_per_pe_bytes:,} of {sums.memory_capacity_per_pe_bytes:,} bytes on the"
        f" fullest PE{name}"
    )
