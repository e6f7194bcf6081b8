"""Simulate every measured row with the constants of the target files, and compare."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..backend.errors import UnknownNameError, UserError
from ..compiler.plan.evidence import coverage, evidence_rows
from ..compiler.targets import Target, known_targets, load_target
from ..sim.validation.report import MeasuredPoint, Omission, ValidationReport, summarise
from ..sim.validation.screening import (
    at_peak,
    contradiction,
    impossible,
    in_one_line,
    refusal,
    repeated,
    too_fast,
    too_large,
)
from ..sim.validation.tables import TableRow, shipped_rows, user_rows
from ..sim.validation.trends import trends
from .published import KERNELS as CYCLE_KERNELS
from .published import AnyKernel
from .training import KERNEL as TRAINING
from .training import KERNELS as TRAINING_KERNELS
from .training import TrainingRun, reason_against, training_trends

KERNELS: dict[str, AnyKernel | TrainingRun] = {
    **CYCLE_KERNELS,
    **{kernel.name: kernel for kernel in TRAINING_KERNELS},
}
_STALE = 0.005
"""By how much a prediction may differ from that which an error bar was made from."""
_SHOWN = 12
"""Reasons, where no row of a file can be used."""
_TAKES_LONG = "compiles a whole network, a minute: weft validate --set training"


def validate(
    set_name: str | Sequence[str] | None = None,
    target_overrides: Mapping[str, str] = {},
    file: str | Path | None = None,
    target: str | None = None,
) -> ValidationReport:
    """Compare the shipped set `set_name`, or several, each once (default: all), or the user's CSV
    `file`, with the model: cycles or speed-ups as they were measured and as they are simulated.

    >>> print(weft.validate("gemv").summary())

    `target_overrides` changes constants of the targets by dotted name; `target` runs the kernels
    on another target than the one they were measured on.

    Rows of the user's file that cannot be used are listed with the reason.

    Raises UnknownNameError for an unknown set, target or constant, UserError for a file without a
    row that can be used.
    """
    load = partial(_load, target_overrides, {}, target)
    if file is not None:
        return _validate_file(Path(file), load)
    names = [set_name] if set_name is None or isinstance(set_name, str) else set_name
    rows = [row for name in dict.fromkeys(names) for row in shipped_rows(name)]
    whole = set_name is None
    against = [_reason_against(row, load, whole) for row in rows]
    points = tuple(
        point
        for row, one in zip(rows, against, strict=True)
        if one is None
        for point in _points(load, row)
    )
    omissions = tuple(one for one in against if one is not None)
    found = (*trends(points), *training_trends(points))
    report = ValidationReport(points, summarise(points), found, omissions, whole)
    is_changed = bool(target_overrides) or target is not None
    return report if is_changed or not whole else with_error_bars(report)


def with_error_bars(report: ValidationReport) -> ValidationReport:
    """How often the shipped error bars were right, and whether they are of this model."""
    rows = evidence_rows()
    known = {(row.set_name, row.quantity, row.settings): row.predicted for row in rows}
    stale = sum(
        abs(known.get((p.set_name, p.quantity, p.settings), math.inf) / p.simulated - 1) > _STALE
        for p in report.points
    )
    runs = tuple(row for row in rows if row.kernel == TRAINING)
    return replace(report, coverages=coverage(rows), stale=stale, whole_plans=runs)


def _validate_file(file: Path, load: partial[Target]) -> ValidationReport:
    rows = user_rows(file)
    tried = {row.row.where: refusal(row, KERNELS) or _tried(load, row) for row in rows}
    usable = [row for row in rows if not isinstance(tried[row.row.where], str)]
    tried |= repeated(usable, KERNELS)
    points: list[MeasuredPoint] = []
    omissions: list[Omission] = []
    for row in rows:
        found = tried[row.row.where]
        if isinstance(found, str):
            omissions.append(Omission(row.set_name, row.settings(), found))
        else:
            points += found
    if not points:
        raise UserError(
            f"measurements {file}",
            expected="a row that can be simulated",
            got="\n            ".join(omission.reason for omission in omissions[:_SHOWN]),
            change="correct it; weft validate --set NAME --rows shows rows of every kernel",
        )
    summaries, orders = summarise(points), trends(points)
    return ValidationReport(tuple(points), summaries, orders, tuple(omissions), whole=False)


def _tried(load: partial[Target], row: TableRow) -> list[MeasuredPoint] | str:
    """The points of a user's row, or why it has none: what it lacks, or a number that cannot be."""
    kernel = KERNELS[row.kernel]
    if reason := too_large(row, load(kernel)) or contradiction(row):
        return reason
    try:
        if reason := _above_peak(load, kernel, row):
            return reason
        points = list(_points(load, row))
        if any(point.quantity.startswith("cycles") for point in points):
            least = kernel.simulate(at_peak(load(kernel)), row.row)
            for point in points:
                bound = least[kernel.measured.index(point.quantity)]
                if reason := impossible(row, point.quantity, point.measured, bound):
                    return reason
    except UserError as error:
        return in_one_line(error)
    return points


def _above_peak(
    load: partial[Target], kernel: AnyKernel | TrainingRun, row: TableRow
) -> str | None:
    """Said before a network is compiled, which takes a minute."""
    if not isinstance(kernel, TrainingRun) or reason_against(row.row):
        return None
    (column,) = kernel.measured
    if not row.row.columns.get(column):
        return None
    return too_fast(row, row.row.number(column), kernel.most(load(kernel), row.row))


def _reason_against(row: TableRow, load: partial[Target], whole: bool) -> Omission | None:
    """Why a row is not compared; None if it is."""
    if row.kernel == TRAINING:
        reason = reason_against(row.row) or (_TAKES_LONG if whole else "")
        return Omission(row.set_name, row.settings(), reason) if reason else None
    return _as_laid_here(row, load) if row.left_open else None


def _as_laid_here(row: TableRow, load: partial[Target]) -> Omission:
    """What a plan takes of a row whose source leaves something open."""
    kernel = KERNELS[row.kernel]
    found = dict(zip(kernel.measured, kernel.simulate(load(kernel), row.row), strict=True))
    errors = {name: value / row.row.number(name) - 1 for name, value in found.items()}
    text = ", ".join(f"{name} {found[name]:,.0f} ({error:+.1%})" for name, error in errors.items())
    reason = f"{row.left_open}; as a plan here lays it {text}"
    return Omission(row.set_name, row.settings(), reason, max(errors.values(), key=abs))


def _load(
    overrides: Mapping[str, str],
    loaded: dict[str, Target],
    target: str | None,
    kernel: AnyKernel | TrainingRun,
) -> Target:
    """The kernel's target with those overrides that it has a constant for."""
    name = target or kernel.target
    if name not in loaded:
        constants = {c.name for c in load_target(name).constants()}
        _check_known(overrides, constants)
        loaded[name] = load_target(name, {k: v for k, v in overrides.items() if k in constants})
    return loaded[name]


def _check_known(overrides: Mapping[str, str], constants: set[str]) -> None:
    """An override must name a constant of some target that comes with weft, or of this one."""
    shipped = {c.name for name in known_targets() for c in load_target(name).constants()}
    for key in overrides:
        if key not in constants | shipped:
            raise UnknownNameError("constant", key, constants | shipped, "weft targets show NAME")


def _points(load: partial[Target], table_row: TableRow) -> Iterable[MeasuredPoint]:
    if table_row.kernel not in KERNELS:
        raise UnknownNameError("kernel", table_row.kernel, KERNELS, "weft validate --json")
    kernel, row = KERNELS[table_row.kernel], table_row.row
    quantities = [name for name in kernel.measured if row.columns.get(name)]
    if not quantities:
        raise UserError(
            row.where,
            expected=f"a measured value in {' or '.join(kernel.measured)}",
            got=f"columns {', '.join(row.columns)}",
            change="take the header of the shipped table of the same kernel",
        )
    figures = dict(zip(kernel.measured, kernel.figures(load(kernel), row), strict=True))
    for quantity in quantities:
        figure = figures[quantity]
        yield MeasuredPoint(
            set_name=table_row.set_name,
            kernel=kernel.name,
            quantity=quantity,
            settings=table_row.settings(kernel.measured),
            measured=row.number(quantity),
            simulated=figure.value,
            fitted=table_row.fitted,
            kind=row.columns.get("kind") or "",
            pinned=figure.pinned,
            chosen=figure.chosen,
        )
