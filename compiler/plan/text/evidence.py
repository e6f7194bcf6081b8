"""What stands behind a plan's figures: `weft explain PLAN --evidence`."""

from __future__ import annotations

from dataclasses import asdict
from statistics import median
from typing import Any

from ..document import PlanDocument
from ..evidence import EvidenceRow, Figure, Term, energy_of, figures_of
from ..evidence.calibration import COVERED, calibration
from ..evidence.mechanisms import PE_POWER, SYSTEM_POWER
from .numbers import duration, percent, quantity, table
from .numbers import energy as joules
from .summary import headline

_TERMS = ("mechanism", "share", "measured in", "rows", "median", "worst", "constants not firm")
_SETS = ("set", "on", "by", "rows", "median error", "worst error", "its row")


def evidence(plan: PlanDocument) -> str:
    """Every figure with its error bar and terms, then the measured rows behind each mechanism."""
    figures = evidence_figures(plan)
    parts = [headline(plan), *(_figure(name, figure) for name, figure in figures.items())]
    terms = {term.mechanism: term for figure in figures.values() for term in figure.terms}
    parts += [_rows(term) for term in terms.values() if term.rows]
    return "\n\n".join((*parts, _calibration()))


def evidence_figures(plan: PlanDocument) -> dict[str, Figure]:
    """By name, those that a plan predicts."""
    found = figures_of(plan)
    figures = {"throughput": found.throughput, "latency": found.latency}
    names = {constant.name for constant in plan.provenance}
    if {"power.pe_peak_w", "power.system_w"} <= names:
        figures |= _energies(plan, found.throughput.value)
    return figures


def _energies(plan: PlanDocument, samples_per_s: float) -> dict[str, Figure]:
    watts: dict[str, Any] = {c.name: c.value for c in plan.provenance}
    busy = sum(stage.pe_cycles for stage in plan.stages)
    pes_j = busy / plan.clock_hz * watts["power.pe_peak_w"]
    system_j = watts["power.system_w"] * plan.totals.wafers_used / samples_per_s
    return {
        "energy of busy PEs": energy_of(plan, PE_POWER, pes_j),
        "energy of the system": energy_of(plan, SYSTEM_POWER, system_j),
    }


def evidence_data(plan: PlanDocument) -> dict[str, Any]:
    """The same as plain data, for JSON."""
    return {
        name: {
            **{key: getattr(figure, key) for key in ("value", "low", "high", "unit")},
            "assumed_alone": figure.is_assumed,
            "terms": [_term_data(term) for term in figure.terms],
        }
        for name, figure in evidence_figures(plan).items()
    }


def _term_data(term: Term) -> dict[str, Any]:
    return {
        "mechanism": term.mechanism,
        "share": term.share,
        "support": term.support,
        "constants": [asdict(constant) for constant in term.constants],
        "rows": [asdict(row) | {"error": row.error} for row in term.rows],
    }


def _figure(name: str, figure: Figure) -> str:
    written = {"s": duration, "J": joules}.get(figure.unit)
    value = written(figure.value) if written else f"{quantity(figure.value)} {figure.unit}"
    rows = [_term(term) for term in figure.terms]
    return f"{name} {value}{figure.bar()}\n{table(_TERMS, rows, '  ')}"


def _term(term: Term) -> tuple[object, ...]:
    errors = (_share(term.median_error), _share(term.worst_error))
    soft = ", ".join(f"{c.name} ({c.confidence})" for c in term.soft_constants)
    sets = f"{term.support:.2g} sets" if term.rows else "no set"
    return (term.mechanism, percent(term.share), sets, len(term.rows), *errors, soft)


def _rows(term: Term) -> str:
    groups: dict[tuple[str, str], list[EvidenceRow]] = {}
    for row in term.rows:
        groups.setdefault((row.set_name, row.target), []).append(row)
    lines = [_set(name, on, rows) for (name, on), rows in groups.items()]
    return f"measured rows behind '{term.mechanism}'\n{table(_SETS, lines, '  ')}"


def _set(name: str, on: str, rows: list[EvidenceRow]) -> tuple[object, ...]:
    worst = max(rows, key=lambda row: abs(row.error))
    kinds = ", ".join(dict.fromkeys(row.kind for row in rows))
    error = median(abs(row.error) for row in rows)
    settings = f"{worst.kernel} {worst.settings}"
    return (name, on, kinds, len(rows), _share(error), f"{worst.error * 100:+.1f} %", settings)


def _calibration() -> str:
    known = calibration()
    one = percent(known.quantile)
    return (
        f"An interval covers {COVERED:.0%} of the measured numbers, each set left out in turn:"
        f" {one} for mechanisms\nmeasured often, more for those that few sets measured"
        " (weft validate; docs/error-bars.md)."
    )


def _share(error: float | None) -> str:
    return "" if error is None else percent(error)
