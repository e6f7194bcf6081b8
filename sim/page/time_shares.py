"""Where the time of a run goes: what a stage does or waits for, in words and as shares."""

from __future__ import annotations

from ...compiler.plan.text.numbers import percent
from ..model.report import SimReport, StageRow
from ..model.rows import ROUTING

MEANINGS = {
    "fill": "the pipeline is not full yet",
    "starved": "what it needs is late, as its producer waits itself",
    "imbalance": "the stage before is at work: it is slower",
    "link": "what it needs is under way",
    "host": "the host sends or takes",
    "blocked": "no room after it, as the next stage is at work: it is slower",
    "loop": "no room after it, although the next stage waits too: the FIFO is too shallow",
    "drain": "no samples any more",
    "turn": "another stage of its region, or its other region, is at work",
    ROUTING: "experts wait for the fullest",
    "unattributed": "idle; the event level says why",
}
"""What is said of each reason for which a stage is idle."""


def reasons(report: SimReport) -> list[tuple[str, str]]:
    """Those that any stage of a run has, with their meanings."""
    found = {name for row in report.stages for name, cycles in row.idle_cycles.items() if cycles}
    return [(name, meaning) for name, meaning in MEANINGS.items() if name in found]


def largest_part(row: StageRow, cycles: int) -> str:
    """What takes most of a stage's run of so many cycles, such as 'blocked 73 %'."""
    parts = {"busy": row.busy_cycles} | row.idle_cycles
    name = max(parts, key=parts.__getitem__)
    return f"{name} {percent(parts[name] / max(cycles, 1))}"
