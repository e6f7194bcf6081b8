"""`weft place`: an instance of the wafer placement contest becomes a placement with its score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .names import check_file_output
from .options import Json
from .terminal.console import print_json, print_table

if TYPE_CHECKING:
    from ..compiler.place.contest import Bounds
    from ..study.contest_score import ContestScore


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(place)


def place(
    instance: Annotated[Path, typer.Argument(metavar="FILE.kgraph", help="An instance.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Solution to write; FILE.solution.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Search this long.  \\[default: 60]")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(min=1, help="Search so many rounds instead: the same on any machine."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the search.")] = 0,
    score: Annotated[
        Path | None, typer.Option(metavar="SOLUTION", help="Score this file; place nothing.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the placement to this file.")] = None,
    json: Json = False,
) -> None:
    """Place a contest instance (.kgraph) on its wafer, or score a solution of it."""
    from ..compiler.place.contest import bounds, place_instance, read_instance, solution_text
    from ..study.contest_picture import picture
    from ..study.contest_score import score as score_of

    read = read_instance(instance)
    written = score or output or instance.with_suffix(".solution")
    if svg is not None:
        check_file_output(svg)
    if score is None:
        check_file_output(written)
        limit = 60.0 if seconds is None and rounds is None else seconds
        found = place_instance(read, limit, rounds, seed)
        written.write_text(solution_text(read, found))
    scored = score_of(instance, written)
    if svg is not None:
        svg.write_text(picture(scored))
    _show(scored, bounds(read), written, json)


def _show(score: ContestScore, least: Bounds, written: Path, json: bool) -> None:
    from ..study.contest_score import ADAPTER_READING

    rows = {
        "C_time": (score.time, least.time),
        "C_dist": (score.distance, None),
        "C_adapter": (score.adapters, None),
        "C_total": (score.total, least.total),
    }
    if json:
        values = {name: {"value": value, "at_least": low} for name, (value, low) in rows.items()}
        print_json({"solution": str(written), **values, "adapters": ADAPTER_READING})
        return
    shown = [
        (name, f"{value:,.10g}", "" if low is None else f"{low:,.10g}")
        for name, (value, low) in rows.items()
    ]
    print_table(("", "score", "lower bound"), shown)
    typer.echo(f"\nadapters: {ADAPTER_READING}\nsolution: {written}")
