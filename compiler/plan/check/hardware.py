"""Rules about the machine: the plan was made for this target and used its constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .violation import Finding, Subject


def target_hash(subject: Subject) -> Iterator[Finding]:
    """The plan names the target and the hash of all its values."""
    plan, target = subject.plan, subject.target
    if target is None:
        return
    if plan.target != target.name:
        yield Finding("target", target.name, plan.target)
    if plan.target_hash != target.hash:
        yield Finding("target_hash", target.hash, plan.target_hash)


def target_numbers(subject: Subject) -> Iterator[Finding]:
    """Clock, grid, usable PEs and memory per PE are the target's."""
    plan, target = subject.plan, subject.target
    if target is None:
        return
    pairs = {
        "clock_hz": (target.clock_hz, plan.clock_hz),
        "grid": ((target.rows, target.columns), plan.grid),
        "wafers": (target.wafers, plan.wafers),
        "totals.pes_usable": (
            target.wafers * target.rows * target.columns,
            plan.totals.pes_usable,
        ),
        "totals.memory_capacity_per_pe_bytes": (
            target.sram.bytes_per_pe - target.sram.reserved_bytes,
            plan.totals.memory_capacity_per_pe_bytes,
        ),
    }
    for where, (expected, got) in pairs.items():
        if expected != got:
            yield Finding(where, expected, got)


def provenance(subject: Subject) -> Iterator[Finding]:
    """Each constant is there once, with a source, and has the target's value."""
    constants = subject.plan.provenance
    for name, count in Counter(constant.name for constant in constants).items():
        if count > 1:
            yield Finding("provenance", f"'{name}' once", f"{count} times")
    for constant in constants:
        if not constant.source or not constant.confidence:
            yield Finding(f"provenance.{constant.name}", "a source and a confidence", "none")
    if subject.target is None:
        return
    given = {constant.name: constant.value for constant in constants}
    wanted = {constant.name: constant.value for constant in subject.target.constants()}
    for name in sorted(given.keys() | wanted.keys()):
        if given.get(name) != wanted.get(name):
            expected, got = wanted.get(name, "no such constant"), given.get(name, "none")
            yield Finding(f"provenance.{name}", expected, got)
