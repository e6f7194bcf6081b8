"""`weft validate`: published measurements against the simulator."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...backend.errors import UserError
from ..options import Json
from ..terminal.console import print_json, print_table
from ..terminal.failure import CHECK_FAILED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...compiler.plan.evidence import Coverage
    from ...sim.validation import ValidationReport


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(validate)


def validate(
    sets: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME", help="One set of measurements; repeatable."),
    ] = [],  # noqa: B006 - typer copies it
    constant: Annotated[
        list[str],
        typer.Option("--constant", metavar="KEY=VALUE", help="Change a target's constant."),
    ] = [],  # noqa: B006 - typer copies it
    file: Annotated[
        Path | None, typer.Option(help="Your own measurements of a known kernel, as CSV.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Run the kernels on this target instead of the measured one.")
    ] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Print every row, not the summary.")] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            "--report", help="Write an HTML page with a plot, measured against simulated."
        ),
    ] = None,
    holdout: Annotated[
        bool,
        typer.Option(
            "--holdout", help="Fit the constants again on some rows, predict the others (a minute)."
        ),
    ] = False,
    error_bars: Annotated[
        Path | None,
        typer.Option(
            help="Predict each set with constants fitted without it (minutes); write the rows"
            " that error bars are made from."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Simulate the published wafer measurements; print errors. Exit code 1 if a bar is missed."""
    from ...study.validate import validate as run

    given = {
        "--set": sets, "--file": file, "--constant": constant, "--target": target,
        "--report": page, "--rows": rows,
    }  # fmt: skip
    for option, taken in (("--holdout", holdout), ("--error-bars", error_bars)):
        if taken:
            _refuse_beside(option, given)
    if file is not None:
        _refuse_beside("--file", {"--set": sets})
    if holdout:
        _print_holdouts(json)
        return
    if error_bars is not None:
        _write_error_bars(error_bars, json)
        return
    report = run(sets or None, _overrides(constant), file, target)
    if page is not None:
        from ...sim.page.validation_page import write_validation

        write_validation(report, page)
    if json:
        print_json(report.to_dict())
    else:
        print_report(report, rows or file is not None or bool(sets))
    if not report.passed:
        raise typer.Exit(CHECK_FAILED)


def _refuse_beside(option: str, others: Mapping[str, object]) -> None:
    """Raises UserError if one of the others is given, which would have no effect."""
    for other in (name for name, value in others.items() if value):
        raise UserError(
            f"weft validate {option}",
            expected=f"{option} without {other}",
            got=f"{option} and {other}",
            change=f"leave {other} out: it would have no effect",
        )


def _print_holdouts(json: bool) -> None:
    from ...study.holdout import holdouts

    found = holdouts()
    if json:
        print_json([asdict(row) for row in found])
        return
    headers = ("constants fitted on", "predicted set", "rows", "median", "worst")
    print_table(
        headers,
        [
            (r.fitted_on, r.set_name, r.rows, _percent(r.median_error), _percent(r.worst_error))
            for r in found
        ],
    )


def _write_error_bars(path: Path, json: bool) -> None:
    from ...compiler.plan.atomic_output import staged_file
    from ...compiler.plan.evidence import coverage
    from ...compiler.plan.evidence.rows import write_rows
    from ...study.error_bars import measured_rows
    from ..terminal.console import Steps

    rows = []
    with Steps() as step:
        for row in measured_rows(step):
            rows.append(row)  # noqa: PERF402 - a set may take minutes
    with staged_file(path) as file:
        write_rows(rows, file)
    found = coverage(rows)
    if json:
        print_json([asdict(of) | {"passed": of.passed} for of in found])
    else:
        _print_coverages(found)


def _print_coverages(found: Sequence[Coverage]) -> None:
    headers = ("left out", "rows", "covered", "half-width", "in bar")
    print_table(
        headers,
        [
            (
                *(of.set_name, of.rows, _percent(of.share), _percent(of.half_width)),
                "yes" if of.passed else "NO",
            )
            for of in found
        ],
    )


def _overrides(pairs: list[str]) -> dict[str, str]:
    from ...backend.errors import UserError

    for pair in pairs:
        if "=" not in pair:
            raise UserError(
                "--constant",
                expected="KEY=VALUE, e.g. noc.hop_cycles=1",
                got=pair,
                change="weft targets show NAME lists the constants",
            )
    return dict(pair.split("=", 1) for pair in pairs)


def print_report(report: ValidationReport, with_rows: bool) -> None:
    """The rows if asked for, then a summary per set, trends, and what is not simulated."""
    if with_rows:
        headers = ("set", "quantity", "measured", "simulated", "error", "fitted on", "settings")
        print_table(headers, [_row(point) for point in report.points])
        typer.echo("")
    _print_summaries(report)
    for trend in report.trends:
        verdict = "yes" if trend.passed else "NO"
        typer.echo(
            f"{trend.name}: {verdict} (measured {trend.measured}; simulated {trend.simulated})"
        )
    for omission in report.omissions:
        typer.echo(f"{omission.set_name}, {omission.settings}: {omission.reason}")


def _row(point: object) -> tuple[object, ...]:
    from ...sim.validation import MeasuredPoint

    assert isinstance(point, MeasuredPoint)
    return (
        *(point.set_name, point.quantity, f"{point.measured:g}", f"{point.simulated:.6g}"),
        *(f"{point.error * 100:+.1f} %", "yes" if point.fitted else "", point.settings),
    )


def _print_summaries(report: ValidationReport) -> None:
    headers = (
        "set",
        "quantity",
        "on",
        "rows",
        "fitted on",
        "chosen",
        "pinned",
        "median",
        "worst",
        "worst unfitted",
        "spread",
        "in bar",
    )
    print_table(
        headers,
        [
            (
                *(s.set_name, s.quantity, s.kind, s.rows, s.fitted_rows),
                *(s.chosen_rows, s.pinned_rows),
                *(_percent(s.median_error), _percent(s.worst_error)),
                *(_percent(s.worst_error_unfitted), _percent(s.spread)),
                "yes" if s.passed else "NO",
            )
            for s in report.summaries
        ],
    )
    typer.echo(f"median error of {len(report.points)} points: {_percent(report.median_error)}")
    if beside := report.uncounted():
        worst = _percent(max(map(abs, beside)))
        typer.echo(
            f"not counted: {len(beside)} rows that their source leaves open, {worst} at worst"
        )
    count, (chosen, pinned) = len(report.points), report.through_plans()
    typer.echo(
        f"operator records of plans: {chosen} of {count} numbers by the mapper's own choice,"
        f" {pinned} pinned to the measured algorithm"
    )
    if report.coverages:
        _print_error_bars(report)


def _print_error_bars(report: ValidationReport) -> None:
    runs = "; ".join(f"{r.settings}: {r.error * 100:+.1f} %" for r in report.whole_plans)
    typer.echo(f"whole plans measured: {len(report.whole_plans)} ({runs})")
    typer.echo("\nerror bars (90 %), each set left out in turn")
    _print_coverages(report.coverages)
    if report.stale:
        typer.echo(f"error bars are of another model: {report.stale} numbers have changed")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.1f} %"
