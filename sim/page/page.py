"""report.html: one page about a plan, its simulation and its training run, without network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from statistics import median

from ...backend.packages import package
from ...compiler.plan.atomic_output import staged_file
from ...compiler.plan.document import PlanDocument
from ...compiler.plan.evidence import kernel_rows
from ...compiler.plan.picture.floorplan import floorplan_svg, inset_svg, used_part
from ...compiler.plan.text.numbers import duration, percent, quantity
from ...compiler.plan.text.numbers import energy as joules
from ...compiler.plan.text.summary import rate
from ..event.recording import Slice, timeline
from ..model.report import SimReport, StageRow
from .advice import advise, slowest_stage, verdict
from .charts import curve_svg, shares_svg, timeline_svg
from .energy import energy
from .heatmap import heatmap_svg
from .loglog import roofline_svg
from .memory import memory_over_time
from .memory_chart import memory_svg
from .network import network_svg
from .stage_facts import stage_facts
from .time_shares import largest_part, reasons
from .validation_plot import rows_svg

MOST_STAGES = 400
"""Above this the timeline is left out: its rows would be thinner than can be seen."""
_SHOWN_INTERVALS = 6


@dataclass(frozen=True)
class RunCurve:
    """What a training run adds to the page.

    `losses` is one value per training sample in order (may be empty), `accuracy` the share of test
    samples classified correctly (None without a test), `executor` the name of what ran it;
    `accuracies` has (samples trained, accuracy) of each test, `sparsities` (samples trained, share
    of the masked weights that are zero) of a run whose masks change.
    """

    losses: tuple[float, ...]
    samples_per_s: float
    accuracy: float | None
    executor: str
    accuracies: tuple[tuple[int, float], ...] = ()
    sparsities: tuple[tuple[int, float], ...] = ()


def write_report(
    plan: PlanDocument,
    report: SimReport,
    path: str | Path,
    run: RunCurve | None = None,
) -> None:
    """Write the page to `path`, under a temporary name until it is complete.

    Raises UserError if jinja2 or the folder is missing, OSError if the file cannot be written.
    """
    with staged_file(path) as file:
        file.write(report_html(plan, report, run))


def report_html(
    plan: PlanDocument,
    report: SimReport,
    run: RunCurve | None = None,
) -> str:
    """The page as text."""
    advice = advise(plan, report)
    capacity = max(plan.totals.memory_capacity_per_pe_bytes, 1)
    shares = [row.utilisation for row in report.stages]
    part, measured = used_part(plan), kernel_rows(plan.target)
    return render(
        "report.html",
        verdict=verdict(plan, report, advice),
        slowest=slowest_stage(report),
        network=network_svg(plan, report),
        facts=stage_facts(plan, report, advice),
        used=floorplan_svg(plan, shares, part) if part else "",
        inset=inset_svg(plan, part) if part else "",
        plan=plan,
        report=report,
        rows=list(zip(plan.stages, report.stages, advice, strict=True)),
        run=run,
        cards=cards(plan, report, run),
        reasons=reasons(report),
        most=[largest_part(row, report.cycles) for row in report.stages],
        memory_classes=_memory_classes(report),
        floorplan=floorplan_svg(plan, shares),
        memory_map=heatmap_svg(
            plan, [row.memory_per_pe.total_bytes / capacity for row in report.stages], "memory"
        ),
        link_map=heatmap_svg(plan, [entry.link_load for entry in advice], "link load"),
        fullest=_fullest(report),
        memory_time=_memory_over_time(plan, report),
        roofline=roofline_svg(plan, report),
        timeline=_timeline(plan, report),
        loss=curve_svg(run.losses, "Training loss") if run and run.losses else "",
        accuracy=shares_svg(run.accuracies, "Test accuracy") if run else "",
        sparsity=shares_svg(run.sparsities, "Sparsity") if run else "",
        measured=measured,
        median_error=median(abs(row.error) for row in measured) if measured else 0.0,
        measured_plot=rows_svg(measured),
    )


def render(template: str, **values: object) -> str:
    """A template of this package, filled.

    Raises UserError if jinja2 is missing.
    """
    jinja = package("jinja2", "report.html", "weft[report]")
    folder = resources.files(str(__package__)).joinpath("templates")

    def text_of(name: str) -> str:
        return folder.joinpath(name).read_text("utf-8")

    environment = jinja.Environment(
        autoescape=True,
        undefined=jinja.StrictUndefined,
        trim_blocks=True,
        loader=jinja.FunctionLoader(text_of),
    )
    environment.filters |= {"quantity": quantity, "percent": percent, "classes": asdict}
    environment.globals["file"] = text_of
    return environment.get_template(template).render(values)


def cards(
    plan: PlanDocument, report: SimReport, run: RunCurve | None
) -> list[tuple[str, str, str]]:
    """Key figures: what, the figure, what it means."""
    clock, spent = report.clock_hz, energy(plan, report)
    interval = report.initiation_interval_cycles
    fullest = max(row.memory_per_pe.total_bytes for row in report.stages)
    capacity = plan.totals.memory_capacity_per_pe_bytes
    bar = report.figures.latency.bar()
    latency = f"{duration(report.forward_latency_s)}{bar}"
    skipped = 1 - plan.totals.macs_effective / max(plan.totals.macs_dense, 1)
    found = [
        (
            "throughput",
            rate(report.figures.throughput.at(report.throughput_samples_per_s)),
            f"one training sample every {interval:,.0f} cycles at {clock / 1e6:g} MHz",
        ),
        ("bound by", report.bound_by.partition(": ")[0], report.bound_by.partition(": ")[2]),
        ("utilisation", percent(report.utilisation), "of the used PEs' time, steady state"),
        (
            "latency",
            latency,
            f"first sample to its loss; last update after"
            f" {duration(report.backward_latency_cycles / clock)}",
        ),
        (
            "wafer",
            percent(plan.totals.wafer_share),
            f"{plan.totals.pes_used:,} of {plan.totals.pes_usable:,} PEs",
        ),
        ("memory", percent(fullest / max(capacity, 1)), f"{fullest:,} of {capacity:,} B per PE"),
        (
            "work",
            f"{quantity(plan.totals.macs_effective)} MAC",
            f"per sample; {percent(skipped)} of {quantity(plan.totals.macs_dense)} skipped",
        ),
    ]
    if spent:
        pes, system = (f"{joules(of.value)}{of.bar()}" for of in (spent.busy_pes, spent.system))
        found.append(("energy", pes, f"per sample at most, in busy PEs; {system} of the system"))
    return found + (_run_cards(run) if run else [])


def _run_cards(run: RunCurve) -> list[tuple[str, str, str]]:
    samples = f"{len(run.losses):,} samples with the {run.executor} executor"
    cards = [("trained here", f"{quantity(run.samples_per_s)} samples/s", samples)]
    if run.accuracy is not None:
        cards.append(("test accuracy", percent(run.accuracy), "share of test samples right"))
    return cards


def _memory_classes(report: SimReport) -> list[str]:
    return list(asdict(report.stages[0].memory_per_pe))


def _timeline(plan: PlanDocument, report: SimReport) -> str:
    """Some intervals from when the pipeline is full; empty if that cannot be shown."""
    if report.deadlock or len(plan.stages) > MOST_STAGES:
        return ""
    slices = _full_pipeline(plan)
    first = min(s.begin for s in slices if s.stage == plan.stages[0].id and s.phase == "backward")
    interval = report.initiation_interval_cycles
    window = (first, first + round(_SHOWN_INTERVALS * interval))
    return timeline_svg([stage.id for stage in plan.stages], slices, window)


def _fullest(report: SimReport) -> StageRow:
    return max(report.stages, key=lambda row: row.memory_per_pe.total_bytes)


def _memory_over_time(plan: PlanDocument, report: SimReport) -> str:
    """The fullest stage from the start until some ticks after the pipeline has filled."""
    if report.deadlock or len(plan.stages) > MOST_STAGES:
        return ""
    depth = max(stage.delay for stage in plan.stages)
    shown = depth + 2 * _SHOWN_INTERVALS
    stages = memory_over_time(plan, shown + depth, 0, shown)
    held = next(own for own in stages if own and own[0].stage == _fullest(report).id)
    return memory_svg(held, plan.totals.memory_capacity_per_pe_bytes)


def _full_pipeline(plan: PlanDocument) -> tuple[Slice, ...]:
    """All samples that are under way during some ticks after the pipeline has filled."""
    depth = max(stage.delay for stage in plan.stages)
    ticks = 2 * _SHOWN_INTERVALS
    return timeline(plan, 2 * depth + 3 * ticks, ticks, depth + 2 * ticks)
