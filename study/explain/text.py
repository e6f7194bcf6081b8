"""Parts of an explanation, and a front, as tables: for a terminal, and as rows for a page."""

from __future__ import annotations

from collections.abc import Sequence

from ...compiler.plan.causes import ROUTING, TERMS
from ...compiler.plan.stage_record import Tiling
from ...compiler.plan.text.numbers import percent, quantity, table
from .fall import Fall, FallStep
from .front import Front
from .sensitivity import Sensitivity

SENSITIVITY_COLUMNS = ("if better by 2", "samples/s", "gain", "interval", "bound by", "constants")
FRONT_COLUMNS = ("interval", "PEs", "PEs x cycles", "")


def fall_text(fall: Fall) -> str:
    """More PEs for a stage, and what stops that."""
    rows = table(fall_columns(fall), fall_rows(fall), "  ")
    return f"more PEs for {fall.stage} ({fall.bound_by})\n{rows}\n  {verdict(fall)}"


def verdict(fall: Fall) -> str:
    """Whether more PEs help, and what stops the fall, in a sentence."""
    own, best = fall.own, fall.fastest
    share = percent(best.terms[best.stops] / best.cycles) if best.cycles else "0 %"
    stop = f"{best.stops} stops the fall: {share} of its cycles, {TERMS[best.stops]}"
    if best is own:
        return f"no tiling on more PEs is faster; {stop}"
    where = "without the wafer's limit" if best.is_beyond else f"on {best.pes:,} PEs"
    if best.is_apart and not any(step.is_apart for step in fall.steps if step is not best):
        where += ", with PEs of its own for the forward (--mappings apart)"
    return f"{own.cycles / best.cycles:.2f} times as fast {where}; there {stop}"


def fall_columns(fall: Fall) -> tuple[str, ...]:
    """Names of what `fall_rows` holds."""
    return ("PEs", "cycles", *_terms(fall), "in x space x out", "")


def _terms(fall: Fall) -> list[str]:
    """Routing is there where some step has it."""
    has_experts = any(step.terms[ROUTING] for step in fall.steps)
    return [name for name in TERMS if name != ROUTING or has_experts]


def fall_rows(fall: Fall) -> list[tuple[object, ...]]:
    """As `fall_columns`."""
    return [
        (
            *(step.pes, step.cycles),
            *(step.terms[name] for name in _terms(fall)),
            *(_tiling(step.tiling), _mark(step)),
        )
        for step in fall.steps
    ]


def _tiling(tiling: Tiling) -> str:
    splits = f"{tiling.in_split} x {tiling.space_split} x {tiling.out_split}"
    return splits if tiling.algorithm == "multicast" else f"{splits}, {tiling.algorithm}"


def _mark(step: FallStep) -> str:
    marks = {
        "forward apart": step.is_apart,
        "this plan": step.is_plan,
        "beyond the wafer": step.is_beyond,
    }
    return ", ".join(name for name, is_so in marks.items() if is_so)


def sensitivity_rows(rows: Sequence[Sensitivity]) -> list[tuple[object, ...]]:
    """As SENSITIVITY_COLUMNS."""
    return [_sensitivity(row) for row in rows]


def _sensitivity(row: Sensitivity) -> tuple[object, ...]:
    if row.throughput_samples_per_s is None or row.interval_cycles is None:
        return (row.name, "", "", "", row.reason, row.constants)
    gain = "" if row.gain is None else f"{100 * row.gain:+.1f} %"
    rate = quantity(row.throughput_samples_per_s)
    return (row.name, rate, gain, f"{row.interval_cycles:,.0f}", row.bound_by, row.constants)


def front_text(front: Front) -> str:
    """The points, the plan among them, and what the objective asks for."""
    best = front.points[front.best]
    title = {
        "speed": "the shortest interval that fits the machine",
        "area": "the least product of PEs and cycles that fits the machine",
    }[front.objective]
    said = f"{title}: one sample every {best.interval_cycles:,} cycles on {best.pes:,} PEs"
    return f"interval against area\n{table(FRONT_COLUMNS, front_rows(front), '  ')}\n  {said}"


def front_rows(front: Front) -> list[tuple[object, ...]]:
    """As FRONT_COLUMNS, the fastest first."""
    marks = {id(front.points[front.best]): f"--objective {front.objective}"}
    marks[id(front.plan)] = "this plan"
    ordered = sorted((*front.points, front.plan), key=lambda p: (p.interval_cycles, p.pes))
    return [
        (
            *(p.interval_cycles, p.pes, p.area_time),
            marks.get(id(p), "" if p.fits else "does not fit"),
        )
        for p in ordered
    ]
