"""One page about several plans and training runs, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...backend.errors import UserError
from ...compiler.plan.atomic_output import staged_file
from ...compiler.plan.document import PlanDocument
from ...compiler.plan.picture.floorplan import around, floorplan_svg, used_part
from ..model.report import SimReport
from .advice import advise, verdict
from .charts import grouped, lines_svg
from .page import cards, render

METRICS_FILE = "metrics.jsonl"
"""What a training run writes beside its checkpoints or to its log directory."""
_LOSS, _ACCURACY, _SPARSITY = "loss", "test_accuracy", "sparsity"


@dataclass(frozen=True)
class SimulatedPlan:
    """A plan and its simulation under the name that the page gives them."""

    name: str
    plan: PlanDocument
    report: SimReport


@dataclass(frozen=True)
class Trained:
    """A run's records in order, each with `samples` and what was measured there."""

    name: str
    records: tuple[dict[str, Any], ...]


def read_metrics(directory: Path) -> tuple[dict[str, Any], ...]:
    """The records of a run's metrics.jsonl; a last line that is not whole is left out.

    Raises UserError for a file that holds anything else.
    """
    lines = (directory / METRICS_FILE).read_text(encoding="utf-8").splitlines()
    records = []
    for number, line in enumerate(lines, 1):
        record = _record(line)
        if record is not None:
            records.append(record)
        elif number < len(lines):
            raise UserError(
                f"{directory / METRICS_FILE}:{number}",
                expected="a record of `weft train`, with its samples",
                got=line[:60],
                change="give the directory of a run",
            )
    return tuple(records)


def _record(line: str) -> dict[str, Any] | None:
    """The record in a line; None if it is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    is_record = isinstance(record, dict) and isinstance(record.get("samples"), int)
    return record if is_record else None


def write_side_by_side(
    path: str | Path, plans: Sequence[SimulatedPlan], runs: Sequence[Trained]
) -> None:
    """Write the page to `path`, under a temporary name until it is complete."""
    with staged_file(path) as file:
        file.write(side_by_side_html(plans, runs))


def side_by_side_html(plans: Sequence[SimulatedPlan], runs: Sequence[Trained]) -> str:
    """Key figures in a table with a column for each plan, floorplans; the same of all runs, with
    curves."""
    return render(
        "side_by_side.html",
        names=[entry.name for entry in plans],
        verdicts=[verdict(e.plan, e.report, advise(e.plan, e.report)) for e in plans],
        rows=list(_rows(plans)),
        floorplans=list(_floorplans(plans)),
        runs=[run.name for run in runs],
        ends=list(_ends(runs)),
        loss=_curves(runs, _LOSS, "Training loss", "{:.3g}"),
        accuracy=_curves(runs, _ACCURACY, "Test accuracy", "{:.1%}"),
        sparsity=_curves(runs, _SPARSITY, "Sparsity", "{:.1%}"),
    )


def _floorplans(plans: Sequence[SimulatedPlan]) -> Iterator[str]:
    """All of the same part of the wafer, the smallest with every region, where that is possible."""
    used = [used_part(entry.plan) for entry in plans]
    parts = [part for part in used if part is not None]
    is_shared = len(parts) == len(plans) and len({entry.plan.grid for entry in plans}) == 1
    for entry in plans:
        shares = [stage.utilisation for stage in entry.report.stages]
        yield floorplan_svg(entry.plan, shares, around(parts) if is_shared else None)


def _rows(plans: Sequence[SimulatedPlan]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """What, and each plan's figure with its meaning; empty where a plan has none."""
    columns = [{what: own for what, *own in cards(e.plan, e.report, None)} for e in plans]
    for what in dict.fromkeys(name for column in columns for name in column):
        found = (column.get(what, ("", "")) for column in columns)
        yield what, [(figure, meaning) for figure, meaning in found]


def _ends(runs: Sequence[Trained]) -> Iterator[tuple[str, list[str]]]:
    """What runs record, and the last value of each run; empty where it has none."""
    for key in dict.fromkeys(key for run in runs for record in run.records for key in record):
        found = ([r[key] for r in run.records if r.get(key) is not None] for run in runs)
        yield key.replace("_", " "), [_number(values[-1]) if values else "" for values in found]


def _number(value: object) -> str:
    if isinstance(value, float):
        is_whole = value.is_integer() or abs(value) >= 1_000
        return f"{value:,.0f}" if is_whole else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _curves(runs: Sequence[Trained], key: str, label: str, number: str) -> str:
    lines = {
        run.name: grouped([(r["samples"], r[key]) for r in run.records if r.get(key) is not None])
        for run in runs
    }
    lines = {name: points for name, points in lines.items() if points}
    return lines_svg(lines, label, number, may_be_log=key == _LOSS) if lines else ""
