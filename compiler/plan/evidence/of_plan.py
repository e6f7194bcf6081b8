"""The figures of a plan with their error bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ...targets.constant import MachineConstant
from ..causes import STAGE_CAUSES
from ..document import PlanDocument
from ..stage_record import PHASES_OF, RegionUse, StageRecord
from .calibration import Calibration, calibration
from .figure import SOFT, Figure, Term
from .mechanisms import (
    CONSTANTS,
    HOST_LATENCY,
    OF_CAUSE,
    Mix,
    cycles_by_mechanism,
    of_whole_plan,
    shares,
)

_COMPUTE = "compute."


@dataclass(frozen=True)
class PlanFigures:
    """Cycles between two samples and samples per second in steady state, and seconds to the loss of
    a sample alone; at the plan's clock."""

    interval: Figure
    throughput: Figure
    latency: Figure

    def at(self, interval_cycles: float, samples_per_s: float, latency_s: float) -> PlanFigures:
        """Those of a run of the plan, each as far off as the plan's."""
        return PlanFigures(
            self.interval.at(interval_cycles),
            self.throughput.at(samples_per_s),
            self.latency.at(latency_s),
        )

    def bars(self) -> dict[str, tuple[float, float]]:
        """Low and high of each, for JSON."""
        return {name: (figure.low, figure.high) for name, figure in self._named.items()}

    def assumed(self) -> tuple[str, ...]:
        """Those that rest on assumed constants alone, by their names in `bars`."""
        return tuple(name for name, figure in self._named.items() if figure.is_assumed)

    @property
    def _named(self) -> dict[str, Figure]:
        return {
            "initiation_interval_cycles": self.interval,
            "throughput_samples_per_s": self.throughput,
            "latency_s": self.latency,
        }


def figures_of(plan: PlanDocument) -> PlanFigures:
    """The figures of `plan`, by the measured rows that come with weft."""
    judge = _Judge(plan, calibration())
    interval = judge.interval()
    return PlanFigures(interval, interval.inverse(plan.clock_hz, "samples/s"), judge.latency())


def energy_of(plan: PlanDocument, power: str, joules: float) -> Figure:
    """Joules per sample, of a power (PE_POWER or SYSTEM_POWER) over the time of a sample."""
    judge = _Judge(plan, calibration())
    interval, (least, most) = judge.interval(), judge.factors({power: 1.0})
    low, high = least * interval.low, most * interval.high
    each = joules / interval.value
    return Figure(joules, each * low, each * high, "J", judge.terms({power: 1.0}))


def bound_mix(plan: PlanDocument) -> Mix:
    """What the cycles between two samples are spent on, where the plan is slowest."""
    return _Judge(plan, Calibration(())).bound_mix()


@dataclass(frozen=True)
class _Judge:
    plan: PlanDocument
    calibration: Calibration

    def interval(self) -> Figure:
        """The slowest of all stages and of what bounds the plan beside them. What might be slower
        than it, if all it takes is at its worst, bounds the interval from above."""
        value = self.plan.totals.initiation_interval_cycles
        uses = [(stage, use) for stage in self.plan.stages for use in stage.uses]
        bounds = [(float(use.cycles), self.mix(stage, use)) for stage, use in uses]
        own = self.bound_mix()
        bounds.append((value, own))
        factors = [(cycles, self.factors(mix)) for cycles, mix in bounds if mix]
        low = max((cycles * least for cycles, (least, _) in factors), default=value)
        high = max((cycles * most for cycles, (_, most) in factors), default=value)
        return Figure(value, min(low, value), max(high, value), "cycles", self.terms(own))

    def bound_mix(self) -> Mix:
        """What the cycles between two samples are spent on."""
        cause, _, at = self.plan.totals.bound_by.partition(": ")
        stages = [stage for stage in self.plan.stages if stage.id == at]
        if cause in STAGE_CAUSES and stages:
            return self.mix(stages[0], max(stages[0].uses, key=lambda use: use.cycles))
        return of_whole_plan({OF_CAUSE[cause]: 1.0}) if cause in OF_CAUSE else self.whole_mix()

    def latency(self) -> Figure:
        """Of a sample alone: what the host takes, then every stage's forward."""
        totals, clock = self.plan.totals, self.plan.clock_hz
        value = float(totals.latency_cycles)
        host = totals.host_latency_cycles / value if value else 0.0
        mix = {name: share * (1 - host) for name, share in self.whole_mix("forward").items()}
        mix = of_whole_plan(mix | ({HOST_LATENCY: host} if host else {}))
        low, high = self.factors(mix)
        figure = Figure(value, value * low, value * high, "cycles", self.terms(mix))
        return figure.times(1 / clock, "s") if clock else figure

    def mix(self, stage: StageRecord, use: RegionUse) -> Mix:
        """What a stage's cycles on one of its regions are spent on."""
        own = (o for o in stage.operators if o.phase in PHASES_OF[use.purpose])
        found = shares(cycles_by_mechanism(own, stage.tiling, self.is_triggered))
        return of_whole_plan(found)

    def whole_mix(self, phase: str | None = None) -> Mix:
        """What the cycles of all stages together are spent on, or those of one phase."""
        cycles: Counter[str] = Counter()
        for stage in self.plan.stages:
            operators = (o for o in stage.operators if phase in (None, o.phase))
            cycles.update(cycles_by_mechanism(operators, stage.tiling, self.is_triggered))
        return of_whole_plan(shares(cycles))

    def factors(self, mix: Mix) -> tuple[float, float]:
        """Low and high, on predicted cycles."""
        return self.calibration.interval(mix, self.plan.target, self.assumed)

    def terms(self, mix: Mix) -> tuple[Term, ...]:
        """The largest share first."""
        ordered = sorted(mix.items(), key=lambda pair: -pair[1])
        return tuple(self._term(name, share) for name, share in ordered)

    def _term(self, name: str, share: float) -> Term:
        target = self.plan.target
        rows = tuple(self.calibration.rows_of(name, target))
        support = self.calibration.support(name, target)
        return Term(name, share, support, rows, self.constants[name])

    @cached_property
    def constants(self) -> Mapping[str, tuple[MachineConstant, ...]]:
        """By mechanism, those of the plan's target that set its pace."""
        known = {constant.name: constant for constant in self.plan.provenance}
        dtypes = sorted({parameter.dtype for parameter in self.plan.parameters})
        return {
            mechanism: tuple(
                known[name] for of in names for name in _named(of, dtypes) if name in known
            )
            for mechanism, names in CONSTANTS.items()
        }

    @cached_property
    def assumed(self) -> frozenset[str]:
        """Mechanisms that rest on a constant that is assumed or from memory."""
        return frozenset(
            name
            for name, constants in self.constants.items()
            if any(constant.confidence in SOFT for constant in constants)
        )

    @cached_property
    def is_triggered(self) -> bool:
        """Whether hardware starts the instructions of the plan's programs."""
        values = {constant.name: constant.value for constant in self.plan.provenance}
        return bool(values.get("software.triggered", True))


def _named(constant: str, dtypes: list[str]) -> list[str]:
    """A constant of `compute.` once for every dtype, 'compute.float16.macs_per_cycle'."""
    if not constant.startswith(_COMPUTE):
        return [constant]
    return [f"{_COMPUTE}{dtype}.{constant.removeprefix(_COMPUTE)}" for dtype in dtypes]
