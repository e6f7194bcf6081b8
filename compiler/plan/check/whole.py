"""Rules about the plan's totals in time: initiation interval, latency, throughput, utilisation.

Derived again from the stage and edge records and the plan's own constants (provenance).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose

from ..document import PlanDocument
from .schedule import first_loss, keeps_pace
from .violation import Finding, Subject

_TIGHT = 0.999
"""A loop sets the pace if it could not keep one this much faster."""


def initiation_interval(subject: Subject) -> Iterator[Finding]:
    """The slowest of the stages, the links, and the host's way in sets the pace and is named; or a
    loop through FIFOs does, which could not keep any pace that is faster."""
    totals, timed = subject.plan.totals, subject.timing
    if timed is None:
        return
    interval, slowest = totals.initiation_interval_cycles, timed.slowest
    where = "totals.initiation_interval_cycles"
    if interval < slowest:
        yield Finding(where, f"{slowest} at least, for {timed.names[0]}", interval)
    elif not keeps_pace(timed.waits, interval):
        yield Finding(where, "more, for a loop of stages through FIFOs", interval)
    elif interval > slowest and keeps_pace(timed.waits, max(slowest, interval * _TIGHT)):
        yield Finding(where, f"less: {slowest} for {timed.names[0]}", interval)
    if interval > slowest and not totals.bound_by.startswith("loop: "):
        yield Finding("totals.bound_by", "loop: ...", totals.bound_by)
    if interval == slowest and totals.bound_by not in timed.names:
        yield Finding("totals.bound_by", " or ".join(timed.names), totals.bound_by)


def throughput(subject: Subject) -> Iterator[Finding]:
    """Samples per second = clock / initiation interval."""
    plan, totals = subject.plan, subject.plan.totals
    expected = plan.clock_hz / max(totals.initiation_interval_cycles, 1)
    if not isclose(totals.throughput_samples_per_s, expected, rel_tol=1e-9):
        yield Finding("totals.throughput_samples_per_s", expected, totals.throughput_samples_per_s)


def latency(subject: Subject) -> Iterator[Finding]:
    """A sample alone, from when the host is asked for it: the longest path of its rows through
    streams and forwards to the loss."""
    timed, totals = subject.timing, subject.plan.totals
    if timed is None:
        return
    if totals.host_latency_cycles != timed.host_latency:
        yield Finding("totals.host_latency_cycles", timed.host_latency, totals.host_latency_cycles)
    expected = first_loss(subject.plan, timed.waits, timed.host_latency)
    if totals.latency_cycles != expected:
        yield Finding("totals.latency_cycles", expected, totals.latency_cycles)


def utilisation(subject: Subject) -> Iterator[Finding]:
    """Share of PE cycles spent: sum of area x cycles over PEs used x interval."""
    plan, totals = subject.plan, subject.plan.totals
    busy = sum(
        stage.part.height * stage.part.width * _cycles(plan, position)
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


def _cycles(plan: PlanDocument, position: int) -> int:
    cycles = plan.stages[position].cycles
    return cycles.forward_cycles + cycles.backward_cycles + cycles.update_cycles
