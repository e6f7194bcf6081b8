"""Making a model fit: settings, what each needs of the machine, and the levers that change them.

A setting that does not fit is reported with every lever tried out on it, alone: its predicted
effect is the demand of the changed setting, priced like the first. `fit` pulls those that do not
change what is learned, in order, until the model fits: recompute, coarser stages, more wafers.
Sparser weights and a narrower dtype do change it: they are the user's to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import ceil

from .contributors import largest_stages, memory_classes
from .cut import cut
from .graph import Graph
from .grouping import Assignment
from .infeasible import InfeasibleReport, Lever
from .intervals import balanced_bounds
from .map import Known, Mask, Pricing
from .mapping import Kernels
from .passes.coarsen import Coarsen
from .place.place import pes_least, wafers_least
from .plan.document import Demand, LeverRecord
from .program import StageProgram, Stages
from .programs import Programs
from .recompute import recompute
from .targets.load import known_targets, load_target
from .targets.target import Target

BYTES, PES = "bytes per PE", "PEs"
_SPARSITIES = (0.75, 0.9)
_NARROW_BYTES = 2
_ANY_SHARE = 1e6
"""More of a machine's memory than there is: no limit, as a recipe can say it."""


@dataclass(frozen=True)
class Limits:
    """Upper limits for stages cut automatically; None is none.

    `max_delay` is that of the first stage, in updates. `activation_memory` is the share of the
    machine's memory that all activation FIFOs together may take.
    """

    max_stages: int | None = None
    max_delay: int | None = None
    activation_memory: float = 0.5

    @property
    def stages(self) -> float:
        """The most stages: a delay of D updates is one of D / 2 + 1 stages."""
        found = [float("inf")]
        found += [] if self.max_stages is None else [self.max_stages]
        found += [] if self.max_delay is None else [self.max_delay // 2 + 1]
        return min(found)


@dataclass(frozen=True)
class Setting:
    """What a model is compiled with, as far as it decides whether it fits.

    `limits` are those of stages cut automatically, or None. `sparsity` is a share of zeros at
    random in every weight without a mask.
    """

    target: Target
    blocks: bool = False
    globs: tuple[str, ...] = ()
    limits: Limits | None = None
    recompute: bool = False
    sparsity: float = 0.0

    @property
    def choices(self) -> tuple:
        """Everything but the target."""
        return self.blocks, self.globs, self.limits, self.recompute, self.sparsity

    @property
    def granularity(self) -> str:
        return "auto" if self.limits else "block" if self.blocks else "finest"


@dataclass(frozen=True)
class _Need:
    """What a setting needs of a chain of any length: bytes of the fullest PE, those that are too
    many in all stages, and PEs if there are none too many."""

    bytes: int
    excess_bytes: int
    pes: int


@dataclass
class Fitting:
    """One captured graph, cut and priced under any setting.

    What was cut, traced or priced once is kept: for each distinct stage of all settings once.
    """

    graph: Graph
    finest: Assignment
    masks: Mapping[str, Mask]
    optimizer_states: int
    dynamic: Collection[str] = ()
    _programs: Programs = field(default_factory=Programs)
    _cuts: dict[tuple[Coarsen, bool], Stages] = field(default_factory=dict)
    _known: dict[tuple[str, float], Known] = field(default_factory=dict)
    _kernels: dict[tuple, Kernels] = field(default_factory=dict)
    _needs: dict[tuple, _Need] = field(default_factory=dict)

    def coarsening(self, setting: Setting) -> Coarsen:
        """The pass that merges the finest stages as a setting says.

        Automatic cuts are between blocks if there are enough of them, so that equal runs of equal
        blocks stay equal; else between finest stages.
        """
        plain = Coarsen(setting.blocks, setting.globs)
        if setting.limits is None:
            return plain
        in_blocks = Coarsen(True, setting.globs)
        if setting.limits.stages <= len(in_blocks(self.finest).modules):
            plain = in_blocks
        bounds = _bounds(self.pricing(setting, plain), setting.limits)
        return replace(plain, bounds=bounds)

    def stages(self, setting: Setting, coarsening: Coarsen | None = None) -> Stages:
        """The stages of a setting, or of its stages merged otherwise."""
        merging = coarsening or self.coarsening(setting)
        key = merging, setting.recompute
        if key not in self._cuts:
            if setting.recompute:
                saving = self.stages(replace(setting, recompute=False), merging)
                self._cuts[key] = recompute(saving)
            else:
                assignment = merging(self.finest)
                self._cuts[key] = cut(self.graph, assignment, programs=self._programs)
        return self._cuts[key]

    def pricing(self, setting: Setting, coarsening: Coarsen | None = None) -> Pricing:
        """Prices of the stages of a setting."""
        stages = self.stages(setting, coarsening)
        masks, states = self._masks(stages, setting), self.optimizer_states
        known = self._known.setdefault((_machine(setting), setting.sparsity), Known())
        return Pricing(stages, masks, setting.target, states, self.dynamic, known)

    def kernels(self, setting: Setting) -> Kernels:
        """All choices of each stage; found once for chains of any length. Every stage must fit."""
        key = setting.choices, _machine(setting)
        if key not in self._kernels:
            pricing = self.pricing(setting)
            stages = pricing.stages.stages
            kernels = tuple(pricing.stage_kernel(stage) for stage in stages)
            self._kernels[key] = Kernels(setting.target, kernels)
        return replace(self._kernels[key], target=setting.target)

    def demand(self, setting: Setting) -> Demand:
        """What the stages of a setting need in their smallest form."""
        key = setting.choices, _machine(setting)
        if key not in self._needs:
            self._needs[key] = self._need(setting)
        need, capacity = self._needs[key], setting.target.capacity_bytes
        if need.excess_bytes:
            return Demand(need.bytes, capacity, BYTES, need.excess_bytes)
        bound = setting.target.all_pes
        return Demand(need.pes, bound, PES, max(0, need.pes - bound))

    def _need(self, setting: Setting) -> _Need:
        pricing, capacity = self.pricing(setting), setting.target.capacity_bytes
        least = [pricing.least_bytes(stage) for stage in pricing.stages.stages]
        excess = sum(max(0, amount - capacity) for amount in least)
        return _Need(max(least), excess, 0 if excess else pes_least(self.kernels(setting)))

    def _masks(self, stages: Stages, setting: Setting) -> Mapping[str, Mask]:
        if not setting.sparsity:
            return self.masks
        weights = {
            name: setting.sparsity
            for stage in stages.stages
            for name, spec in zip(stage.parameters, stage.program.parameters, strict=True)
            if len(spec.shape) > 1
        }
        return {**weights, **self.masks}


def _bounds(pricing: Pricing, limits: Limits) -> tuple[int, ...]:
    stages, target = pricing.stages.stages, pricing.target
    return tuple(
        balanced_bounds(
            [pricing.least_pe_cycles(stage) for stage in stages],
            [stage.program.saved_bytes for stage in stages],
            int(min(limits.stages, len(stages))),
            limits.activation_memory * target.all_pes * target.capacity_bytes,
        )
    )


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


def _largest_need(demand: Demand) -> tuple[bool, int]:
    return demand.unit == BYTES, demand.amount


Offers = Iterator[tuple[str, Setting]]


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


def _recompute(fitting: Fitting, setting: Setting) -> Offers:
    if not setting.recompute:
        yield "stages do their forward again in the backward", replace(setting, recompute=True)


def _coarser(fitting: Fitting, setting: Setting) -> Offers:
    """Blocks, then half as many stages again and again, until the fullest stage needs no less; each
    with recompute too, which often saves nothing before stages are coarser.

    What halves again costs twice the tracing: fewer stages that are each too large are no way to
    one that fits.
    """
    count, least = len(fitting.stages(setting)), _largest_need(fitting.demand(setting))
    for stages, coarser in _coarser_cuts(fitting, setting, count):
        variants = {f"{stages} instead of {count}": coarser}
        if not setting.recompute:
            recomputing = replace(coarser, recompute=True)
            variants[f"{stages} instead of {count}, and recompute"] = recomputing
        need = min(_largest_need(fitting.demand(variant)) for variant in variants.values())
        if coarser.limits is not None and need >= least:
            return
        least = min(least, need)
        yield from variants.items()


def _coarser_cuts(fitting: Fitting, setting: Setting, count: int) -> Offers:
    blocks = replace(setting, blocks=True, limits=None)
    most = min(count, len(fitting.stages(blocks)))
    if most < count:
        yield f"{most} stages, one per block,", blocks
    while most > 1:
        most = (most + 1) // 2
        limits = Limits(max_stages=most, activation_memory=_ANY_SHARE)
        yield f"{most} stages", replace(setting, limits=limits)


def _wafers(fitting: Fitting, setting: Setting) -> Offers:
    if setting.target.wafer_link is None:
        return
    demand = fitting.demand(setting)
    if demand.unit == PES and not demand.fits:
        needed = wafers_least(fitting.kernels(setting))
        target = setting.target.with_wafers(
            needed, f"set by fit (asked for: {setting.target.wafers})"
        )
        yield f"{needed} wafers instead of {setting.target.wafers}", replace(setting, target=target)


_LEVERS: Mapping[str, Callable[[Fitting, Setting], Offers]] = {
    "recompute": _recompute,
    "coarser stages": _coarser,
    "more wafers": _wafers,
}


def _machine(setting: Setting) -> str:
    """The machine, whatever the length of its chain."""
    return setting.target.with_wafers(1, "").hash


def report(fitting: Fitting, setting: Setting) -> InfeasibleReport:
    """Why a setting does not fit, and what it would need under each lever alone."""
    demand, pricing = fitting.demand(setting), fitting.pricing(setting)
    stages = pricing.stages.stages
    if demand.unit == BYTES:
        worst = max(stages, key=pricing.least_bytes)
        subject, contributors = (
            f"stage {worst.index} ({worst.name})",
            memory_classes(pricing, worst),
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
            *(_lever(change, fitting.demand(other)) for change, other in _all(fitting, setting)),
            *_half_width(fitting, setting),
        ),
    )


def _lever(change: str, demand: Demand) -> Lever:
    return Lever(change, demand.amount, demand.bound, demand.unit)


def _all(fitting: Fitting, setting: Setting) -> Offers:
    """Every lever alone, in the order in which to try them."""
    yield from _recompute(fitting, setting)
    yield from _coarser(fitting, setting)
    for sparsity in _SPARSITIES:
        yield f"weights {sparsity:.0%} sparse", replace(setting, sparsity=sparsity)
    yield from _wafers(fitting, setting)
    yield from _larger_targets(fitting, setting)


def _programs(fitting: Fitting, setting: Setting) -> Iterable[StageProgram]:
    """The distinct programs of a setting."""
    return {stage.program.key: stage.program for stage in fitting.stages(setting).stages}.values()


def _larger_targets(fitting: Fitting, setting: Setting) -> Offers:
    """Machines that come with weft, have more memory and compute in the model's dtypes."""
    memory = setting.target.pes * setting.target.capacity_bytes
    programs = _programs(fitting, setting)
    used = {spec.dtype for program in programs for spec in program.parameters}
    for name in known_targets():
        other = load_target(name)
        if other.pes * other.capacity_bytes > memory and used <= other.compute.keys():
            yield f"target {name}", replace(setting, target=other)


def _half_width(fitting: Fitting, setting: Setting) -> Iterator[Lever]:
    """Values of half the width, of a model that is not in 16 bits already.

    Half the bytes per value are as good as twice the memory.
    """
    programs = _programs(fitting, setting)
    sizes = [s.torch_dtype.itemsize for p in programs for s in p.parameters]
    if max(sizes, default=0) > _NARROW_BYTES:
        sram, capacity = setting.target.sram, setting.target.capacity_bytes
        roomier = replace(sram, bytes_per_pe=sram.bytes_per_pe + capacity)
        demand = fitting.demand(replace(setting, target=replace(setting.target, sram=roomier)))
        if demand.unit == BYTES:
            halved = ceil(demand.amount / 2)
            demand = Demand(halved, capacity, BYTES, max(0, halved - capacity))
        yield _lever("a dtype of half the width", demand)
