"""`weft explain`: what holds a plan back, what would change it, what stands behind its figures."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .options import Json, PlanDirectory
from .terminal.console import Steps, print_json
from .terminal.notes import note_prices


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(explain)


def explain(
    plan: PlanDirectory,
    evidence: Annotated[
        bool,
        typer.Option("--evidence", help="What each figure is made of, and the measured rows."),
    ] = False,
    objective: Annotated[
        str | None,
        typer.Option(help="speed or area: interval against area, and the best point of that."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the tables as an HTML page.")] = None,
    json: Json = False,
) -> None:
    """Say what more PEs and other constants would do, or what stands behind the figures."""
    from .names import check_file_output

    if report is not None:
        check_file_output(report)
    if evidence:
        _print_evidence(plan, json)
    elif objective is not None:
        _print_front(plan, objective, json)
    else:
        _print_explanation(plan, report, json)


def _print_evidence(plan: Path, json: bool) -> None:
    from ..compiler.plan.files import load_document
    from ..compiler.plan.text.evidence import evidence, evidence_data

    document = load_document(plan)
    note_prices(plan, document)
    if json:
        print_json(evidence_data(document))
    else:
        typer.echo(evidence(document))


def _print_front(plan: Path, objective: str, json: bool) -> None:
    from ..compiler.plan.constants import target_of
    from ..compiler.plan.store import load
    from ..study.explain import front_of
    from ..study.explain.text import front_text

    loaded = load(plan)
    note_prices(plan, loaded.document)
    front = front_of(loaded, target_of(loaded.document), objective)
    if json:
        print_json(asdict(front))
    else:
        typer.echo(front_text(front))


def _print_explanation(plan: Path, report: Path | None, json: bool) -> None:
    from ..compiler.plan.store import load
    from ..study.explain import explain as run

    loaded = load(plan)
    note_prices(plan, loaded.document)
    with Steps() as step:
        found = run(loaded, step)
    if report is not None:
        from ..study.explain.page import write_page

        write_page(found, report)
    if json:
        print_json(found.to_dict())
    else:
        typer.echo(found.summary())
