"""The mechanisms that cycles are spent on, and the constants that each of them rests on.

A mechanism is what measured kernels and plans share: a formula of compiler/machine. Whether a
program's instructions are started by hardware as words arrive, or written out in loops, is a
mechanism of its own: most measured kernels are written out, most plans are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ..stage_record import OperatorCost, Tiling

TRIGGERED_PRODUCT, WRITTEN_PRODUCT = "product started by hardware", "product written out"
TRIGGERED_PASS, WRITTEN_PASS = "pass started by hardware", "pass written out"
COLLECTIVE, EXCHANGE, SUMMA = "collective", "exchange", "summa step"
STREAM, WAFER_LINK, HOST, HOST_LATENCY = "stream", "wafer link", "host input", "host latency"
PE_POWER, SYSTEM_POWER = "power of a PE", "power of a system"
WHOLE_PLAN = "whole plan"
"""That the parts of a plan work together as modelled: of a figure of a whole plan beside its other
mechanisms, which then are no surer than it."""

_COLLECTIVES = tuple(f"noc.{name}_cycles" for name in ("hop", "ramp", "relay", "collective_start"))
_SPARSE = ("sparsity.nonzero_cycles", "vector.trigger_cycles")
_WRITTEN = ("vector.issue_cycles", "vector.loop_cycles")
_LINK = "noc.link_bytes_per_cycle"

CONSTANTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        TRIGGERED_PRODUCT: ("compute.macs_per_cycle", "compute.sustained_fraction", *_SPARSE),
        WRITTEN_PRODUCT: ("compute.macs_per_cycle", *_WRITTEN, "software.mapped_cycles"),
        TRIGGERED_PASS: ("compute.elements_per_cycle", "vector.issue_cycles"),
        WRITTEN_PASS: ("compute.elements_per_cycle", *_WRITTEN),
        COLLECTIVE: (_LINK, *_COLLECTIVES),
        EXCHANGE: (_LINK, "software.exchange_cycles", "software.step_cycles"),
        SUMMA: ("software.turn_cycles", "software.multicast_step_cycles"),
        STREAM: (_LINK,),
        WAFER_LINK: ("wafer_link.bytes_per_s", "wafer_link.latency_s"),
        HOST: ("host.bytes_per_s",),
        HOST_LATENCY: ("host.latency_s",),
        PE_POWER: ("power.pe_peak_w",),
        SYSTEM_POWER: ("power.system_w",),
        WHOLE_PLAN: (),
    }
)
"""By mechanism, the constants of a target that set its pace; `compute.` is of every dtype that the
plan computes with."""

OF_CAUSE: Mapping[str, str] = MappingProxyType(
    {"link": STREAM, "wafer-link": WAFER_LINK, "host": HOST}
)
"""The mechanism of what can bound a plan beside its stages; see CAUSES."""

_PRODUCTS = frozenset({"linear", "convolution"})
_OF_ALGORITHM = {"ring": EXCHANGE, "summa": SUMMA}

Mix = Mapping[str, float]
"""Shares of a figure's cycles by mechanism, which add up to one; and of a figure of a whole plan
WHOLE_PLAN, whose share is one."""


def cycles_by_mechanism(
    operators: Iterable[OperatorCost], tiling: Tiling, is_triggered: bool
) -> Counter[str]:
    """What the operators of a stage spend their cycles on."""
    product, others = (
        (TRIGGERED_PRODUCT, TRIGGERED_PASS) if is_triggered else (WRITTEN_PRODUCT, WRITTEN_PASS)
    )
    of_products = _OF_ALGORITHM.get(tiling.algorithm, COLLECTIVE)
    found: Counter[str] = Counter()
    for operator in operators:
        is_product = operator.family in _PRODUCTS
        found[product if is_product else others] += operator.compute_cycles
        found[of_products if is_product else COLLECTIVE] += operator.network_cycles
    return found


def shares(cycles: Mapping[str, float]) -> dict[str, float]:
    """The mix of cycles; empty if there are none."""
    total = sum(cycles.values())
    return {name: part / total for name, part in cycles.items() if part > 0} if total else {}


def of_whole_plan(mix: Mix) -> dict[str, float]:
    """The mix of a figure of a whole plan; empty if there are no cycles."""
    return {**mix, WHOLE_PLAN: 1.0} if mix else {}
