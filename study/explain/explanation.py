"""What holds a plan back, and what would change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...backend.frame import frame
from ...backend.shown import Shown
from ...compiler.driver import ignore
from ...compiler.mapping.pricing import Pricing
from ...compiler.plan.constants import target_of
from ...compiler.plan.evidence import figures_of
from ...compiler.plan.plan import Plan
from ...compiler.plan.stage_record import StageRecord, are_regions_shared
from ...compiler.plan.store import as_plan
from ...compiler.plan.text.numbers import facts, table
from ...compiler.plan.text.summary import headline, rate
from .fall import Fall, fall_of
from .sensitivity import Sensitivity, sensitivities
from .text import SENSITIVITY_COLUMNS, fall_text, sensitivity_rows

_MOST = 3
_NEAR = 0.95
"""Stages that take so much of the interval bound the plan too."""


@dataclass(frozen=True, repr=False)
class Explanation(Shown):
    """What holds a plan back.

    `falls` are of the stages that bound the plan, or nearly, the slowest first; those that are
    the same on the same tiling share one. `rows` say what other constants would make of it."""

    title: str
    throughput: str
    bound_by: str
    pes: str
    falls: tuple[Fall, ...]
    rows: tuple[Sensitivity, ...]

    def __repr__(self) -> str:
        """One line: the plan, and what bounds it."""
        return f"Explanation({self.title.partition(' (')[0]}, bound by {self.bound_by})"

    def summary(self) -> str:
        """Totals, more PEs for each bounding stage, and other constants of the machine."""
        totals = facts(
            (("throughput", self.throughput), ("bound by", self.bound_by), ("PEs", self.pes))
        )
        rows = table(SENSITIVITY_COLUMNS, sensitivity_rows(self.rows), "  ")
        falls = map(fall_text, self.falls)
        return "\n\n".join((f"{self.title}\n{totals}", *falls, f"other machines\n{rows}"))

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row for each changed constant. Raises UserError without
        pandas."""
        return frame(asdict(row) for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


def explain(plan: Plan | str | Path, on_step: Callable[[str], None] = ignore) -> Explanation:
    """What holds a plan back, for one of the targets that come with weft: what the stages that
    bound it would take on more PEs, in cycles, and what other constants of the machine would do.

    >>> print(weft.explain(plan).summary())

    `on_step` is told what is mapped next. Raises UnknownNameError for another target.
    """
    plan = as_plan(plan)
    document, target = plan.document, target_of(plan.document)
    shared = are_regions_shared(document.stages)
    pricing = Pricing(plan.stages, target, plan.training, regions_shared=shared)
    stages = {stage.index: stage for stage in plan.stages.stages}
    falls = []
    for records in _slowest(document.stages):
        on_step(f"more PEs for {records[0].id}")
        fall = fall_of(records[0], stages[records[0].index], pricing)
        falls.append(replace(fall, stage=", ".join(record.id for record in records)))
    totals = document.totals
    return Explanation(
        title=headline(document),
        throughput=rate(figures_of(document).throughput),
        bound_by=totals.bound_by,
        pes=f"{totals.pes_used:,} of {totals.pes_usable:,}",
        falls=tuple(falls),
        rows=sensitivities(plan, target, on_step),
    )


def _slowest(stages: Sequence[StageRecord]) -> list[list[StageRecord]]:
    """Stages near the slowest one, in groups of the same program on the same tiling."""
    least = _NEAR * max(stage.pace_cycles for stage in stages)
    near = [stage for stage in stages if stage.pace_cycles >= least]
    groups: dict[object, list[StageRecord]] = {}
    for stage in sorted(near, key=lambda stage: -stage.pace_cycles):
        key = stage.program, stage.tiling, stage.pace_cycles, stage.is_apart
        groups.setdefault(key, []).append(stage)
    return list(groups.values())[:_MOST]
