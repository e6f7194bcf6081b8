"""One model on several machines: meshes are compiled for and simulated, rooflines bound it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..backend.errors import InfeasibleError, UnsupportedError, UserError
from ..compiler.emit import Labels, emit
from ..compiler.from_recipe import Ingredients
from ..compiler.map import map_kernels
from ..compiler.place.place import place
from ..compiler.plan.document import PlanDocument
from ..compiler.targets import Roofline, Target
from ..compiler.work import StageWork, work_of
from .report import SimReport
from .roofline import roofline
from .simulate import simulate

SIMULATED, BOUNDED = "simulated", "at best"


@dataclass(frozen=True)
class Row:
    """A model on one machine. Figures are None where it does not fit; `reason` says why.

    `basis` is 'simulated', or 'at best' for a roofline. `memory_share` is of the fullest PE, or of
    the chip's memory. `utilisation` is multiply-adds done over the machine's dense peak.
    `confidence` counts the machine's constants by how firm they are.
    """

    target: str
    basis: str
    batch: int
    confidence: dict[str, int]
    throughput_samples_per_s: float | None = None
    latency_s: float | None = None
    memory_share: float | None = None
    utilisation: float | None = None
    bound_by: str = ""
    reason: str = ""

    @property
    def fits(self) -> bool:
        return not self.reason


def compare(
    model: Ingredients, machines: Iterable[Target | Roofline], samples: int, batch: int
) -> tuple[Row, ...]:
    """One row per machine, in order. Meshes train one sample at a time; `batch` is for rooflines.

    Raises UserError for counts below 1.
    """
    for name, count in (("samples", samples), ("batch", batch)):
        if count < 1:
            raise UserError(
                f"compare, {name}", expected="1 or more", got=str(count), change="raise it"
            )
    work = work_of(model.stages)
    return tuple(_row(model, work, machine, samples, batch) for machine in machines)


def _row(
    model: Ingredients,
    work: Sequence[StageWork],
    machine: Target | Roofline,
    samples: int,
    batch: int,
) -> Row:
    confidence = dict(Counter(constant.confidence for constant in machine.constants()))
    mesh = isinstance(machine, Target)
    empty = Row(machine.name, SIMULATED if mesh else BOUNDED, 1 if mesh else batch, confidence)
    try:
        figures = (
            _simulated(model, machine, samples) if mesh else _bounded(model, work, machine, batch)
        )
    except (InfeasibleError, UnsupportedError) as error:
        figures = {"reason": f"{error.where}: {error.got}"}
    return Row(**(vars(empty) | figures))


def _simulated(model: Ingredients, target: Target, samples: int) -> dict[str, object]:
    kernels = map_kernels(
        model.stages, model.masks, target, optimizer_states=model.optimizer_states
    )
    plan = emit(model.stages, place(model.stages, kernels), {}, {}, Labels("compare")).document
    report = simulate(plan, samples)
    totals = plan.totals
    return {
        "throughput_samples_per_s": report.throughput_samples_per_s,
        "latency_s": report.forward_latency_cycles / report.clock_hz,
        "memory_share": totals.max_memory_per_pe_bytes / totals.memory_capacity_per_pe_bytes,
        "utilisation": _share_of_peak(model, plan, report, target),
        "bound_by": report.bound_by.partition(":")[0],
    }


def _share_of_peak(
    model: Ingredients, plan: PlanDocument, report: SimReport, target: Target
) -> float:
    """Effective multiply-adds per second over the peak of all usable PEs, dtype by dtype."""
    seconds = 0.0
    for stage, work in zip(plan.stages, work_of(model.stages), strict=True):
        rate = target.arithmetic(work.dtype).macs_per_cycle * target.pes * target.clock_hz
        seconds += stage.macs_effective / rate
    return seconds * report.throughput_samples_per_s


def _bounded(
    model: Ingredients, work: Sequence[StageWork], chip: Roofline, batch: int
) -> dict[str, object]:
    report = roofline(work, chip, batch, model.optimizer_states)
    if not report.fits:
        got = f"{report.memory_bytes / 1e9:,.1f} GB of {chip.memory.bytes / 1e9:,.0f} GB"
        return {"reason": f"memory at batch {batch}: {got}", "memory_share": report.memory_share}
    return {
        "throughput_samples_per_s": report.throughput_samples_per_s,
        "latency_s": report.latency_s,
        "memory_share": report.memory_share,
        "utilisation": report.utilisation,
        "bound_by": report.bound_by,
    }
