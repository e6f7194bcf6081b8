"""`weft simulate`: a plan in time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .names import check_file_output, check_plan
from .options import Json
from .terminal.console import print_json, print_table
from .terminal.failure import CHECK_FAILED

if TYPE_CHECKING:
    from ..compiler.plan.document import PlanDocument
    from ..sim import SimReport
    from ..sim.fabric import PhaseRow


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(simulate)


def simulate(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan directory.")],
    samples: Annotated[int, typer.Option(help="Training samples to run.")] = 1000,
    level: Annotated[str, typer.Option(help="analytic (closed form), event or fabric.")] = "event",
    trace: Annotated[
        Path | None, typer.Option(help="Write a Chrome/Perfetto trace of some samples.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a self-contained HTML page.")] = None,
    json: Json = False,
) -> None:
    """Simulate a plan: throughput, latency, utilisation, what bounds it. Exit 1 on deadlock."""
    for file in (trace, report):
        if file is not None:
            check_file_output(file)
    check_plan(plan)
    document, result, stepped = _run(plan, samples, level)
    if trace is not None:
        from ..sim.page.trace import write_trace

        write_trace(document, trace)
    if report is not None:
        from ..sim.page.page import write_report

        write_report(document, result, report)
    if json:
        print_json(_as_data(document, result) | {"stepped": [asdict(row) for row in stepped]})
    else:
        print_report(document, result)
        _print_stepped(stepped)
    if result.deadlock:
        raise typer.Exit(CHECK_FAILED)


def _run(
    plan: Path, samples: int, level: str
) -> tuple[PlanDocument, SimReport, tuple[PhaseRow, ...]]:
    """Plan and report; at the fabric level also what was stepped in each phase of each stage."""
    if level != "fabric":
        from ..backend.light_numba import import_numba

        import_numba()
        from ..compiler.plan.files import load_document
        from ..sim import simulate as run

        document = load_document(plan)
        return document, run(document, samples, level), ()
    from ..compiler.plan.store import load
    from ..sim.fabric import simulate_stepped

    loaded = load(plan)
    return loaded.document, *simulate_stepped(loaded, samples)


def _print_stepped(rows: tuple[PhaseRow, ...]) -> None:
    """Event against fabric, phase by phase, for those with a product in them."""
    if not rows:
        return
    columns = ("stage", "phase", "PEs", "event", "fabric", "", "stepped", "as priced")
    typer.echo("\ncycles of the event level, and with products stepped PE by PE")
    print_table(
        columns,
        [
            (
                *(row.stage, row.phase, row.pes, row.event_cycles, row.fabric_cycles),
                f"{row.difference * 100:+.1f} %",
                *(", ".join(names) for names in (row.stepped, row.priced)),
            )
            for row in rows
            if row.stepped or row.priced
        ],
    )


def _price_facts(plan: PlanDocument) -> list[tuple[str, str]]:
    """Whether the plan's cycles are those that a plan made now would have."""
    from ..compiler.machine.version import other_model

    other = other_model(plan.weft_version)
    return [("prices", f"{other}; compile it again for today's")] if other else []


def _as_data(plan: PlanDocument, report: SimReport) -> dict[str, object]:
    """The report; per stage what bounds it and what would help; energy where there is one."""
    from ..compiler.machine.version import other_model
    from ..sim.page.advice import advise
    from ..sim.page.energy import energy

    spent = energy(plan, report)
    return report.to_dict() | {
        "prices": other_model(plan.weft_version),
        "advice": [asdict(entry) for entry in advise(plan, report)],
        "energy": spent.to_dict() if spent else None,
    }


def print_report(plan: PlanDocument, report: SimReport) -> None:
    """The simulation's result as text: facts, then one row per stage."""
    from ..compiler.plan.text.numbers import facts
    from ..sim.page.advice import advise

    typer.echo(f"{report.model} on {report.target}, {report.level} level")
    typer.echo(facts([*report.facts(), *_energy_facts(plan, report), *_price_facts(plan)]))
    if report.deadlock:
        waits = "\n".join(f"    {wait}" for wait in report.deadlock)
        typer.echo(f"  deadlock: each of these waits for the next\n{waits}")
    columns = ("stage", "forward", "backward", "update", "busy", "B/PE", "links", "bound by", "")
    rows = [
        (
            *(row.id, row.forward_cycles, row.backward_cycles, row.update_cycles),
            *(f"{row.utilisation * 100:.1f} %", row.memory_per_pe.total_bytes),
            *(f"{entry.link_load * 100:.0f} %", entry.bound_by, entry.advice),
        )
        for row, entry in zip(report.stages, advise(plan, report), strict=True)
    ]
    typer.echo("")
    print_table(columns, rows)


def _energy_facts(plan: PlanDocument, report: SimReport) -> list[tuple[str, str]]:
    from ..compiler.plan.text.numbers import energy as joules
    from ..sim.page.energy import energy

    spent = energy(plan, report)
    if spent is None:
        return []
    pes, system = (f"{joules(of.value)}{of.bar()}" for of in (spent.busy_pes, spent.system))
    return [("energy", f"at most {pes} per sample in busy PEs; {system} of the system")]
