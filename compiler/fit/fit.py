"""Making a model fit, or saying what would: levers pulled in order, each tried out first.

A setting that does not fit is reported with every lever tried out on it, alone: its predicted
effect is the demand of the changed setting, priced like the first. `fit` pulls those that do not
change what is learned, in order, until the model fits: reversible stages, recompute, coarser
stages, FIFOs off the wafer, more wafers.
Sparser weights and a narrower dtype do change it: they are the user's to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil

from ..mapping.contributors import largest_stages, memory_classes
from ..plan.document import Demand, LeverRecord
from ..plan.infeasible import InfeasibleReport
from ..plan.infeasible import ProposedLever as LeverLine
from .levers import (
    Lever,
    Levers,
    coarser_stages,
    distinct_programs,
    every_lever,
    more_wafers,
    off_the_wafer,
    rebuilding,
    recomputing,
)
from .setting import BYTES, Fitting, Setting

_NARROW_BYTES = 2
_LEVERS: tuple[Callable[[Fitting, Setting], Levers], ...] = (
    rebuilding,
    recomputing,
    coarser_stages,
    off_the_wafer,
    more_wafers,
)


def fit(fitting: Fitting, setting: Setting) -> tuple[Setting, tuple[LeverRecord, ...]]:
    """A setting that fits, found by pulling levers in order, and what each of them bought.

    A lever that does not lower the demand is left alone until another one has. Raises
    InfeasibleError if all together are not enough.
    """
    demand, pulled, helps = fitting.demand(setting), [], True
    while helps and not demand.fits:
        helps = False
        for levers in _LEVERS:
            best = None if demand.fits else _best(levers(fitting, setting))
            if best is not None and _rank(best.after) < _rank(demand):
                pulled.append(LeverRecord(best.name, best.change, demand, best.after))
                setting, demand, helps = best.setting, best.after, True
    if not demand.fits:
        raise report(fitting, setting).error()
    return setting, tuple(pulled)


def _rank(demand: Demand) -> tuple[bool, int]:
    """Less is better; no number of PEs is as bad as a stage that fits none."""
    return demand.unit == BYTES, demand.excess


def _best(levers: Levers) -> Lever | None:
    """The first that is exact and fits, else the one that comes closest; None if there is none."""
    found: list[Lever] = []
    for lever in (lever for lever in levers if lever.exact):
        found.append(lever)
        if lever.after.fits:
            break
    return min(found, key=lambda lever: _rank(lever.after), default=None)


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
        try_levers=lambda: (
            *(_line(lever.change, lever.after) for lever in every_lever(fitting, setting)),
            *_half_width(fitting, setting),
            *_all_memory(fitting, setting),
        ),
    )


def _line(change: str, demand: Demand) -> LeverLine:
    return LeverLine(change, demand.amount, demand.bound, demand.unit)


def _all_memory(fitting: Fitting, setting: Setting) -> Iterator[LeverLine]:
    """All of a PE's memory, where stages may take less."""
    if fitting.training.bytes_of(setting.target) < setting.target.capacity_bytes:
        training = replace(fitting.training, pe_memory=None)
        whole = Fitting(fitting.graph, training, programs=fitting.programs)
        yield _line("all of a PE's memory (pe_memory: null)", whole.demand(setting))


def _half_width(fitting: Fitting, setting: Setting) -> Iterator[LeverLine]:
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
            most = fitting.training.bytes_of(setting.target)
            demand = Demand(halved, most, BYTES, max(0, halved - most))
        yield _line("a dtype of half the width", demand)
