"""Rules about the plan's totals in time: initiation interval, latency, throughput, utilisation.

Derived again from the stage and edge records and the plan's own constants (provenance).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, inf, isclose

from ..document import HOST, EdgeRecord, PlanDocument
from .violation import Finding, Subject

CONSTANTS = (
    "noc.link_bytes_per_cycle",
    "noc.hop_cycles",
    "noc.ramp_cycles",
    "host.bytes_per_s",
)

CHAIN = ("wafer_link.bytes_per_s", "wafer_link.latency_s")


def initiation_interval(subject: Subject) -> Iterator[Finding]:
    """The slowest of the stages, the streams and the host's way in sets the pace, and is named."""
    totals, paces = subject.plan.totals, _paces(subject.plan)
    if not paces:
        return
    slowest = max(paces.values())
    if totals.initiation_interval_cycles != slowest:
        expected = f"{slowest}, the slowest of {paces}"
        yield Finding(
            "totals.initiation_interval_cycles", expected, totals.initiation_interval_cycles
        )
    if paces.get(totals.bound_by) != slowest:
        expected = " or ".join(name for name, pace in paces.items() if pace == slowest)
        yield Finding("totals.bound_by", expected, totals.bound_by)


def throughput(subject: Subject) -> Iterator[Finding]:
    """Samples per second = clock / initiation interval."""
    plan, totals = subject.plan, subject.plan.totals
    expected = plan.clock_hz / max(totals.initiation_interval_cycles, 1)
    if not isclose(totals.throughput_samples_per_s, expected, rel_tol=1e-9):
        yield Finding("totals.throughput_samples_per_s", expected, totals.throughput_samples_per_s)


def latency(subject: Subject) -> Iterator[Finding]:
    """One sample alone: the longest path of streams and forwards from the host to the loss."""
    constants = _constants(subject.plan)
    if constants is None or not _is_forward(subject.plan):
        return
    expected, given = _longest_path(subject.plan, constants), subject.plan.totals.latency_cycles
    if given != expected:
        yield Finding("totals.latency_cycles", expected, given)


def utilisation(subject: Subject) -> Iterator[Finding]:
    """Share of PE cycles spent: sum of area x cycles over PEs used x interval."""
    plan, totals = subject.plan, subject.plan.totals
    busy = sum(
        stage.region.height * stage.region.width * _cycles(plan, position)
        for position, stage in enumerate(plan.stages)
    )
    offered = totals.pes_used * totals.initiation_interval_cycles
    expected = busy / offered if offered > 0 else 0.0
    if not isclose(totals.utilisation, expected, rel_tol=1e-9) or not 0 < totals.utilisation <= 1:
        yield Finding("totals.utilisation", expected, totals.utilisation)


def levers(subject: Subject) -> Iterator[Finding]:
    """Each change that made the model fit starts from what the one before left, and helped; after
    the last one it fits. No demand is negative."""
    fit = subject.plan.fit
    for number, lever in enumerate(fit):
        where = f"fit[{number}]"
        if number and lever.before != fit[number - 1].after:
            yield Finding(f"{where}.before", fit[number - 1].after, lever.before)
        if lever.before.amount <= lever.before.bound:
            yield Finding(f"{where}.before", "a demand over its bound", lever.before.amount)
        if lever.after.unit == lever.before.unit and lever.after.excess >= lever.before.excess:
            expected = f"an excess below {lever.before.excess}"
            yield Finding(f"{where}.after.excess", expected, lever.after.excess)
        if min(lever.after.amount, lever.after.bound) < 0:
            yield Finding(f"{where}.after", "no negative demand", lever.after)
    if fit and fit[-1].after.amount > fit[-1].after.bound:
        yield Finding("fit", f"at most {fit[-1].after.bound} at the end", fit[-1].after.amount)


def _paces(plan: PlanDocument) -> dict[str, int]:
    """Cycles per sample of the slowest stage, the busiest link, and the host's way in."""
    constants = _constants(plan)
    if constants is None or not _is_forward(plan):
        return {}
    streams = [edge for edge in plan.edges if edge.source != HOST]
    busiest = [max(edge.forward_bytes, edge.gradient_bytes) for edge in streams]
    return {
        "stage": max(_cycles(plan, position) for position in range(len(plan.stages))),
        "link": max(
            (_stream(size, e, plan, constants) for size, e in zip(busiest, streams, strict=True)),
            default=0,
        ),
        "wafer-link": _busiest_wafer_link(plan, constants, range(plan.wafers - 1)),
        "host": _host_cycles(plan, constants),
    }


def _longest_path(plan: PlanDocument, constants: dict[str, float]) -> int:
    done = {HOST: _host_cycles(plan, constants)}
    for position, stage in enumerate(plan.stages):
        arrivals = [
            done[edge.source] + _flight(edge, plan, constants)
            for edge in plan.edges
            if edge.sink == position
        ]
        done[position] = max(arrivals, default=0) + stage.cycles.forward_cycles
    return done[len(plan.stages) - 1]


def _flight(edge: EdgeRecord, plan: PlanDocument, constants: dict[str, float]) -> int:
    """Streaming the sample, and the way of its last word: ramps, hops, links between wafers."""
    way = edge.hops * constants["noc.hop_cycles"] + 2 * constants["noc.ramp_cycles"]
    passed = _passed(edge, plan)
    if passed:
        way += len(passed) * constants["wafer_link.latency_s"] * plan.clock_hz
    stream = _stream(edge.forward_bytes, edge, plan, constants)
    return max(stream, _busiest_wafer_link(plan, constants, passed)) + ceil(way)


def _passed(edge: EdgeRecord, plan: PlanDocument) -> range:
    """Numbers of the links between wafers on the way from source to sink."""
    if edge.source == HOST:
        return range(0)
    return range(plan.stages[edge.source].region.wafer, plan.stages[edge.sink].region.wafer)


def _busiest_wafer_link(plan: PlanDocument, constants: dict[str, float], links: range) -> int:
    """Cycles per sample of the busiest of these links, in the busier direction.

    The load changes only at wafers with a stage.
    """
    slowest = 0
    for link in {stage.region.wafer for stage in plan.stages}:
        if link not in links:
            continue
        passing = [edge for edge in plan.edges if link in _passed(edge, plan)]
        onwards = sum(edge.forward_bytes for edge in passing)
        back = sum(edge.gradient_bytes for edge in passing)
        busier = max(onwards, back)
        rate = constants.get("wafer_link.bytes_per_s", inf) / plan.clock_hz
        slowest = max(slowest, ceil(busier / rate))
    return slowest


def _stream(
    size_bytes: int, edge: EdgeRecord, plan: PlanDocument, constants: dict[str, float]
) -> int:
    """Cycles on the stream's links: the narrower end has one per PE of its longer side."""
    regions = [plan.stages[i].region for i in (edge.source, edge.sink) if i != HOST]
    lanes = max(1, min(max(region.height, region.width) for region in regions))
    return ceil(size_bytes / (lanes * constants["noc.link_bytes_per_cycle"]))


def _host_cycles(plan: PlanDocument, constants: dict[str, float]) -> int:
    arriving = sum(edge.forward_bytes for edge in plan.edges if edge.source == HOST)
    return ceil(arriving * plan.clock_hz / constants["host.bytes_per_s"])


def _cycles(plan: PlanDocument, position: int) -> int:
    cycles = plan.stages[position].cycles
    return cycles.forward_cycles + cycles.backward_cycles + cycles.update_cycles


def _constants(plan: PlanDocument) -> dict[str, float] | None:
    """The constants needed here; None where one or the clock is missing or no positive number,
    which are other rules' findings."""
    found = {c.name: c.value for c in plan.provenance if c.name in (*CONSTANTS, *CHAIN)}
    numbers = {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and 0 < value < inf
    }
    needed = {*CONSTANTS, *(CHAIN if plan.wafers > 1 else ())}
    is_complete = needed <= numbers.keys() and 0 < plan.clock_hz < inf
    return numbers if is_complete else None


def _is_forward(plan: PlanDocument) -> bool:
    last = len(plan.stages)
    return last > 0 and all(HOST <= e.source < e.sink < last for e in plan.edges)
