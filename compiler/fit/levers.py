"""Levers: settings near one that does not fit, each priced before it is pulled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..place.intervals import wafers_least
from ..plan.document import Demand
from ..plan.program import StageProgram
from ..plan.stage_record import SLOTS_OFF_WAFER
from ..targets.load import known_targets, load_target
from .setting import BYTES, PES, Fitting, Limits, Setting

_SPARSITIES = (0.75, 0.9)
_OFF_WAFER_SHARES = (0.9, 0.75, 0.5, 0.25, 0.0)
"""Of the first stage's delay, from which on FIFOs are put off the wafer."""
_ANY_SHARE = 1e6
"""More of a machine's memory than there is: no limit, as a recipe can say it."""


@dataclass(frozen=True)
class Lever:
    """A change, in words and as a setting, and what the network needs before and after it.

    With an `exact` one gradients at zero delay stay what they are, but for rounding: `fit` may pull
    it. The others change what is learned.
    """

    name: str
    change: str
    setting: Setting
    before: Demand
    after: Demand
    exact: bool = True


Levers = Iterator[Lever]
Offers = Iterator[tuple[str, Setting]]


def every_lever(fitting: Fitting, setting: Setting) -> Levers:
    """Every lever alone, in the order in which to try them."""
    yield from rebuilding(fitting, setting)
    yield from recomputing(fitting, setting)
    yield from coarser_stages(fitting, setting)
    yield from off_the_wafer(fitting, setting)
    yield from _packing(fitting, setting)
    for sparsity in _SPARSITIES:
        sparser = replace(setting, sparsity=sparsity)
        change = f"weights {sparsity:.0%} sparse"
        yield _priced(fitting, setting, "sparser weights", change, sparser, exact=False)
    yield from more_wafers(fitting, setting)
    yield from _larger_targets(fitting, setting)


def _priced(
    fitting: Fitting, before: Setting, name: str, change: str, after: Setting, exact: bool = True
) -> Lever:
    return Lever(name, change, after, fitting.demand(before), fitting.demand(after), exact)


def rebuilding(fitting: Fitting, setting: Setting) -> Levers:
    """Stages of reversible layers rebuild their inputs from what later stages give back."""
    if fitting.graph.reversible and not setting.keeping.reversible:
        after = replace(setting, keeping=replace(setting.keeping, reversible=True))
        change = "stages of reversible layers keep nothing"
        yield _priced(fitting, setting, "reversible stages", change, after)


def recomputing(fitting: Fitting, setting: Setting) -> Levers:
    """Stages that do their forward again save less of each sample in flight."""
    if not setting.keeping.recompute:
        change, after = "stages do their forward again in the backward", _with_recompute(setting)
        yield _priced(fitting, setting, "recompute", change, after)


def _packing(fitting: Fitting, setting: Setting) -> Levers:
    """What is saved of each sample in 8 bits."""
    if setting.keeping.packing is None:
        after = replace(setting, keeping=replace(setting.keeping, packing="int8"))
        change = "saved activations in 8 bits"
        yield _priced(fitting, setting, "packing", change, after, exact=False)


def off_the_wafer(fitting: Fitting, setting: Setting) -> Levers:
    """FIFOs of the first stages with the host: those of more and more stages, and what the host's
    link then allows at most."""
    if setting.keeping.off_wafer:
        return
    stages, known = fitting.stages(setting), set[int]()
    deepest = stages.delay(0)
    for share in _OFF_WAFER_SHARES:
        delay = max(SLOTS_OFF_WAFER, round(share * deepest))
        keeping = replace(setting.keeping, off_wafer=delay)
        after = replace(setting, keeping=keeping)
        away = [stage for stage in fitting.stages(after).stages if stage.off_wafer]
        if away and len(away) not in known:
            known.add(len(away))
            size = sum(stage.program.saved_bytes for stage in away)
            change = (
                f"FIFOs of {len(away)} stages off the wafer (pipeline.off_wafer={delay}: the host's"
                f" link lets {setting.target.host.bytes_per_s / size:,.0f} samples/s pass)"
            )
            yield _priced(fitting, setting, "off the wafer", change, after)


def _with_recompute(setting: Setting) -> Setting:
    return replace(setting, keeping=replace(setting.keeping, recompute=True))


def coarser_stages(fitting: Fitting, setting: Setting) -> Levers:
    """Fewer stages, with shorter delays."""
    for change, after in _coarser(fitting, setting):
        yield _priced(fitting, setting, "coarser stages", change, after)


def _coarser(fitting: Fitting, setting: Setting) -> Offers:
    """Blocks, then half as many stages again and again, until the fullest stage needs no less; each
    with recompute too, which often saves nothing before stages are coarser.

    What halves again costs twice the tracing: fewer stages that are each too large are no way to
    one that fits.
    """
    count, least = len(fitting.stages(setting)), _largest_need(fitting.demand(setting))
    for stages, merged in _coarser_cuts(fitting, setting, count):
        variants = {f"{stages} instead of {count}": merged}
        if not setting.keeping.recompute:
            again = _with_recompute(merged)
            variants[f"{stages} instead of {count}, and recompute"] = again
        need = min(_largest_need(fitting.demand(variant)) for variant in variants.values())
        if merged.limits is not None and need >= least:
            return
        least = min(least, need)
        yield from variants.items()


def _largest_need(demand: Demand) -> tuple[bool, int]:
    return demand.unit == BYTES, demand.amount


def _coarser_cuts(fitting: Fitting, setting: Setting, count: int) -> Offers:
    blocks = replace(setting, blocks=True, limits=None)
    most = min(count, len(fitting.stages(blocks)))
    if most < count:
        yield f"{most} stages, one per block,", blocks
    while most > 1:
        most = (most + 1) // 2
        limits = Limits(max_stages=most, activation_memory=_ANY_SHARE)
        yield f"{most} stages", replace(setting, limits=limits)


def more_wafers(fitting: Fitting, setting: Setting) -> Levers:
    """As many as the smallest forms of all stages need."""
    if setting.target.wafer_link is None:
        return
    demand = fitting.demand(setting)
    if demand.unit == PES and not demand.fits:
        needed = wafers_least(fitting.kernels(setting))
        target = setting.target.with_wafers(
            needed, f"set by fit (asked for: {setting.target.wafers})"
        )
        change = f"{needed} wafers instead of {setting.target.wafers}"
        after = replace(setting, target=target)
        yield _priced(fitting, setting, "more wafers", change, after)


def _larger_targets(fitting: Fitting, setting: Setting) -> Levers:
    """Machines that come with weft, have more memory and compute in the model's dtypes."""
    memory = setting.target.pes * setting.target.capacity_bytes
    programs = distinct_programs(fitting, setting)
    used = {spec.dtype for program in programs for spec in program.parameters}
    for name in known_targets():
        other = load_target(name)
        if other.pes * other.capacity_bytes > memory and used <= other.compute.keys():
            after = replace(setting, target=other)
            yield _priced(fitting, setting, "another target", f"target {name}", after)


def distinct_programs(fitting: Fitting, setting: Setting) -> Iterable[StageProgram]:
    """The distinct programs of a setting."""
    return {stage.program.key: stage.program for stage in fitting.stages(setting).stages}.values()
