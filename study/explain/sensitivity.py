"""What a plan's throughput would be if one constant of the machine were better by a factor of two.

Every time the stages are mapped and placed anew, so what is told is what a compile for such a
machine would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ...backend.errors import InfeasibleError, UserError
from ...compiler.plan.plan import Plan
from ...compiler.remap.new_map import new_map
from ...compiler.targets.target import Target

_FACTOR = 2
# what it is called, and its constants; those of the last kind are better if they are smaller
_RATES: dict[str, tuple[str, ...]] = {
    "clock": ("clock_hz",),
    "PEs": ("grid.rows",),
    "SRAM": ("sram.bytes_per_pe",),
    "memory ports": ("sram.read_bytes_per_cycle", "sram.write_bytes_per_cycle"),
    "links": ("noc.link_bytes_per_cycle",),
    "host": ("host.bytes_per_s",),
    "arithmetic": ("compute.macs_per_cycle", "compute.elements_per_cycle"),
    "arithmetic and ports": (
        *("sram.read_bytes_per_cycle", "compute.macs_per_cycle"),
        *("compute.elements_per_cycle", "sram.write_bytes_per_cycle"),
    ),
}
_TIMES: dict[str, tuple[str, ...]] = {
    "hop": ("noc.hop_cycles",),
    "ramp and relay": ("noc.ramp_cycles", "noc.relay_cycles"),
    "start of a collective": ("noc.collective_start_cycles", "noc.issue_cycles"),
    "start of an instruction": (
        *("vector.issue_cycles", "vector.trigger_cycles", "sparsity.nonzero_cycles"),
    ),
}


@dataclass(frozen=True)
class Sensitivity:
    """One change of the machine. `constants` say what from and to; `interval_cycles` and the rest
    are of the plan for it, None with the `reason` where there is none. `gain` is of the throughput,
    beside the same stages mapped anew without a change."""

    name: str
    constants: str
    interval_cycles: float | None
    throughput_samples_per_s: float | None
    gain: float | None
    bound_by: str
    reason: str = ""


def sensitivities(
    plan: Plan, target: Target, on_row: Callable[[str], None] = lambda name: None
) -> tuple[Sensitivity, ...]:
    """The first row is the machine as it is."""
    bare = replace(plan, tensors={})
    on_row("as it is")
    base = _mapped("as it is", "", bare, target, None)
    rows = [base]
    for name, machine, said in _changed(target):
        on_row(name)
        rows.append(_mapped(name, said, bare, machine, base.throughput_samples_per_s))
    return tuple(rows)


def _mapped(
    name: str, constants: str, plan: Plan, target: Target, before: float | None
) -> Sensitivity:
    try:
        totals = new_map(plan, target).document.totals
    except (InfeasibleError, UserError) as error:
        return Sensitivity(name, constants, None, None, None, "", str(error).splitlines()[0])
    rate = totals.throughput_samples_per_s
    gain = None if before is None else rate / before - 1
    interval = totals.initiation_interval_cycles
    return Sensitivity(name, constants, interval, rate, gain, totals.bound_by)


def _changed(target: Target) -> Iterator[tuple[str, Target, str]]:
    for factor, kinds in ((_FACTOR, _RATES), (1 / _FACTOR, _TIMES)):
        for name, constants in kinds.items():
            machine, said = target, []
            for constant in constants:
                for dotted in _named(target, constant):
                    machine, values = _scaled(machine, dotted, factor)
                    said += [f"{dotted} {values}"] if values else []
            if said:
                yield name, machine, _short(said)


def _short(said: list[str]) -> str:
    """Of many dtypes the first."""
    return ", ".join(said[:2]) + (", ..." if len(said) > 2 else "")


def _named(target: Target, constant: str) -> list[str]:
    """A constant of `compute.` once for every dtype."""
    block, _, name = constant.partition(".")
    if block != "compute":
        return [constant]
    return [f"compute.{dtype}.{name}" for dtype in target.compute]


def _scaled(target: Target, dotted: str, factor: float) -> tuple[Target, str]:
    """The target with another value, and 'from > to'; nothing is said of what is zero or absent."""
    first, *rest = dotted.split(".")
    if not rest:
        value = getattr(target, first)
        return replace(target, **{first: factor * value}), _said(value, factor * value)
    block: Any = getattr(target, first)
    inner = block[rest[0]] if isinstance(block, dict) else block
    value = getattr(inner, rest[-1])
    if not value:
        return target, ""
    better = type(value)(factor * value)
    changed: Any = replace(inner, **{rest[-1]: better})
    changed = {**block, rest[0]: changed} if isinstance(block, dict) else changed
    return replace(target, **{first: changed}), _said(value, better)


def _said(before: float, after: float) -> str:
    return f"{before:g} > {after:g}"
