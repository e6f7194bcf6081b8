"""Making a model fit, or saying what would: levers pulled in order, each tried out first.

A setting that does not fit is reported with every lever tried out on it, alone: its predicted
effect is the demand of the changed setting, priced like the first. `fit` pulls those that do not
change what is learned, in order, until the model fits: reversible stages, recompute, coarser
stages, more wafers.
Sparser weights and a narrower dtype do change it: they are the user's to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil

from ..mapping.contributors import largest_stages, memory_classes
from ..plan.document import Demand, LeverRecord
from ..plan.infeasible import InfeasibleReport, Lever
from .levers import (
    Offers,
    coarser,
    distinct_programs,
    every_lever,
    more_wafers,
    rebuilding,
    recomputing,
)
from .setting import BYTES, Fitting, Setting

_NARROW_BYTES = 2
_LEVERS: Mapping[str, Callable[[Fitting, Setting], Offers]] = {
    "reversible stages": rebuilding,
    "recompute": recomputing,
    "coarser stages": coarser,
    "more wafers": more_wafers,
}


def fit(fitting: Fitting, setting: Setting) -> tuple[Setting, tuple[LeverRecord, ...]]:
    """A setting that fits, found by pulling levers in order, and what each of them bought.

    A lever that does not lower the demand is left alone until another one has. Raises
    InfeasibleError if all together are not enough.
    """
    demand, pulled, helps = fitting.demand(setting), [], True
    while helps and not demand.fits:
        helps = False
        for name, offers in _LEVERS.items():
            best = None if demand.fits else _best(fitting, offers(fitting, setting))
            if best is not None and _rank(best.demand) < _rank(demand):
                pulled.append(LeverRecord(name, best.change, demand, best.demand))
                setting, demand, helps = best.setting, best.demand, True
    if not demand.fits:
        raise report(fitting, setting).error()
    return setting, tuple(pulled)


def _rank(demand: Demand) -> tuple[bool, int]:
    """Less is better; no number of PEs is as bad as a stage that fits none."""
    return demand.unit == BYTES, demand.excess


@dataclass(frozen=True)
class _Tried:
    """A lever tried out."""

    change: str
    setting: Setting
    demand: Demand


def _best(fitting: Fitting, offers: Offers) -> _Tried | None:
    """The first offer that fits, else the one that comes closest; None if there is none."""
    found: list[_Tried] = []
    for change, setting in offers:
        found.append(_Tried(change, setting, fitting.demand(setting)))
        if found[-1].demand.fits:
            break
    return min(found, key=lambda tried: _rank(tried.demand), default=None)


def report(fitting: Fitting, setting: Setting) -> InfeasibleReport:
    """Why a setting does not fit, and what it would need under each lever alone."""
    demand, pricing = fitting.demand(setting), fitting.pricing(setting)
    stages = pricing.stages.stages
    if demand.unit == BYTES:
        worst = max(stages, key=pricing.least_bytes)
        subject, contributors = (
            f"stage {worst.index} ({worst.name})",
            memory_classes(worst, pricing.table(worst), pricing.post(worst)),
        )
    else:
        subject = f"the network ({len(stages)} stages)"
        contributors = largest_stages(fitting.kernels(setting), stages)
    return InfeasibleReport(
        subject=subject,
        target=setting.target.name,
        demand=demand.amount,
        bound=demand.bound,
        unit=demand.unit,
        contributors=tuple(contributors),
        levers=(
            *(
                _lever(change, fitting.demand(other))
                for change, other in every_lever(fitting, setting)
            ),
            *_half_width(fitting, setting),
        ),
    )


def _lever(change: str, demand: Demand) -> Lever:
    return Lever(change, demand.amount, demand.bound, demand.unit)


def _half_width(fitting: Fitting, setting: Setting) -> Iterator[Lever]:
    """Values of half the width, of a model that is not in 16 bits already.

    Half the bytes per value are as good as twice the memory.
    """
    programs = distinct_programs(fitting, setting)
    sizes = [s.torch_dtype.itemsize for p in programs for s in p.parameters]
    if max(sizes, default=0) > _NARROW_BYTES:
        sram, capacity = setting.target.sram, setting.target.capacity_bytes
        roomier = replace(sram, bytes_per_pe=sram.bytes_per_pe + capacity)
        demand = fitting.demand(replace(setting, target=replace(setting.target, sram=roomier)))
        if demand.unit == BYTES:
            halved = ceil(demand.amount / 2)
            demand = Demand(halved, capacity, BYTES, max(0, halved - capacity))
        yield _lever("a dtype of half the width", demand)
