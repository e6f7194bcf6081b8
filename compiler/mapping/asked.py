"""A tiling that a stage is asked to have."""

from __future__ import annotations

from collections.abc import Iterator

from ...backend.errors import UserError
from ..kernels.layout import StageLayout
from ..machine.tilings import Tilings
from ..plan.check.geometry import tiling_findings
from ..plan.check.violation import Finding
from ..plan.program import Stage
from ..plan.stage_record import Tiling
from ..targets.target import Target


def asked_tiling(stage: Stage, layout: StageLayout, target: Target, tiling: Tiling) -> Tilings:
    """The tiling alone. Raises UserError for one that the stage, or any on the target, cannot
    have."""
    where = f"tiling of {stage.name or 'the outermost module'}"
    for finding in (*tiling_findings(where, tiling), *_unfit(where, layout, target, tiling)):
        raise UserError(
            finding.where,
            expected=str(finding.expected),
            got=str(finding.got),
            change="ask for another tiling, or for none",
        )
    return Tilings.of(tiling)


def _unfit(where: str, layout: StageLayout, target: Target, tiling: Tiling) -> Iterator[Finding]:
    """On a grid; and where vectors lie on every line alike, products that follow each other sum
    down columns and along rows in turn, of which there are as many."""
    if tiling.height > target.rows or tiling.width > target.columns:
        most = f"at most {target.rows} x {target.columns} PEs, as {target.name}"
        yield Finding(where, most, f"{tiling.height} x {tiling.width}")
    in_turn = tiling.algorithm == "all-reduce" and len(layout.matrices) > 1
    if in_turn and tiling.height != tiling.width:
        count = len(layout.matrices)
        expected = f"as many rows as columns for all-reduce in a stage of {count} products"
        yield Finding(where, expected, f"{tiling.height} x {tiling.width}")
