"""One model on several machines: meshes are compiled for and simulated, rooflines bound it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ..backend.errors import InfeasibleError, UnsupportedError, UserError
from ..compiler.pipeline import GraphCompiler
from ..compiler.plan.document import PlanDocument
from ..compiler.plan.work import StageWork, work_of
from ..compiler.targets import Roofline, Target
from ..sim.simulate import simulate
from .roofline import roofline
from .slower import range_of_rate, why_slower

SIMULATED, BOUNDED = "simulated", "at best"
_RATE = "throughput_samples_per_s"


@dataclass(frozen=True)
class Figures:
    """Training on one machine. `memory_share` is of the fullest PE, or of the chip's memory.

    `utilisation` is multiply-adds done over the machine's dense peak. `error_bars` has low and high
    of what is simulated; `assumed` names those figures that rest on assumed constants alone.
    """

    throughput_samples_per_s: float
    latency_s: float
    memory_share: float
    utilisation: float
    bound_by: str
    error_bars: dict[str, tuple[float, float]] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class MachineRow:
    """A model on one machine. `figures` are None where it does not fit; `reason` says why.

    `basis` is 'simulated', or 'at best' for a roofline. `confidence` counts the machine's constants
    by how firm they are. `slower` says why a simulated machine is slower than the fastest of them
    (of those alone whose rates have more than assumed constants behind them), `spread` what the
    range of its clock makes of the rate.
    """

    target: str
    basis: str
    batch: int
    confidence: dict[str, int]
    figures: Figures | None
    reason: str = ""
    slower: str = ""
    spread: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: one flat object."""
        data = asdict(self)
        figures = data.pop("figures") or dict.fromkeys(of.name for of in fields(Figures))
        return data | figures | {"fits": self.figures is not None}


def compare(
    model: GraphCompiler, machines: Iterable[Target | Roofline], samples: int, batch: int
) -> tuple[MachineRow, ...]:
    """One row per machine, in order. Meshes train one sample at a time; `batch` is for rooflines.

    Raises UserError for counts below 1.
    """
    for name, count in (("samples", samples), ("batch", batch)):
        if count < 1:
            raise UserError(
                f"compare, {name}", expected="1 or more", got=str(count), change="raise it"
            )
    found = [_row(model, machine, samples, batch) for machine in machines]
    plans = [plan for row, plan in found if plan is not None and _is_ranked(row)]
    fastest = max(plans, key=lambda plan: plan.totals.throughput_samples_per_s, default=None)
    return tuple(
        row
        if plan is None or fastest is None or plan is fastest or not _is_ranked(row)
        else replace(row, slower=why_slower(plan, fastest))
        for row, plan in found
    )


def _is_ranked(row: MachineRow) -> bool:
    """Whether a measurement or a published constant stands behind its rate."""
    return row.figures is not None and _RATE not in row.figures.assumed


def _row(
    model: GraphCompiler, machine: Target | Roofline, samples: int, batch: int
) -> tuple[MachineRow, PlanDocument | None]:
    """The row of a machine, and its plan if it has one."""
    confidence = dict(Counter(constant.confidence for constant in machine.constants()))
    is_mesh = isinstance(machine, Target)
    basis, batch = (SIMULATED, 1) if is_mesh else (BOUNDED, batch)
    row = MachineRow(machine.name, basis, batch, confidence, None)
    try:
        if not is_mesh:
            return replace(row, figures=_bounded(model, machine, batch)), None
        figures, plan = _simulated(model, machine, samples)
    except (InfeasibleError, UnsupportedError) as error:
        return replace(row, reason=f"{error.where}: {error.got}"), None
    return replace(row, figures=figures, spread=range_of_rate(plan, machine)), plan


def _simulated(model: GraphCompiler, target: Target, samples: int) -> tuple[Figures, PlanDocument]:
    made = model.plan(model.choose(target))
    plan, work = made.document, work_of(made.stages)
    report = simulate(plan, samples)
    of_run = report.run_figures
    figures = Figures(
        throughput_samples_per_s=report.throughput_samples_per_s,
        latency_s=report.forward_latency_s,
        memory_share=plan.totals.memory_share,
        utilisation=_seconds_at_peak(plan, work, target) * report.throughput_samples_per_s,
        bound_by=report.bound_by.partition(":")[0],
        error_bars=of_run.bars(),
        assumed=of_run.assumed(),
    )
    return figures, plan


def _seconds_at_peak(plan: PlanDocument, work: Sequence[StageWork], target: Target) -> float:
    """A sample's effective multiply-adds at the peak of all usable PEs, each in its dtype."""
    peak = target.pes * target.clock_hz
    return sum(
        stage.macs_effective / (peak * target.arithmetic(asked.dtype).macs_per_cycle)
        for stage, asked in zip(plan.stages, work, strict=True)
    )


def _bounded(model: GraphCompiler, chip: Roofline, batch: int) -> Figures:
    work = work_of(model.stages_for_any_machine())
    report = roofline(work, chip, batch, model.options.optimizer_states)
    if not report.fits:
        raise InfeasibleError(
            f"memory at batch {batch}",
            expected=f"at most {chip.memory.bytes / 1e9:,.1f} GB",
            got=f"{report.memory_bytes / 1e9:,.1f} GB of {chip.memory.bytes / 1e9:,.1f} GB",
            change="a smaller --batch",
            report=lambda: "",
        )
    return Figures(
        throughput_samples_per_s=report.throughput_samples_per_s,
        latency_s=report.latency_s,
        memory_share=report.memory_share,
        utilisation=report.utilisation,
        bound_by=report.bound_by,
    )
