"""The way in: one plan, one level, one report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..backend.errors import UnknownNameError, UserError
from ..compiler.plan.document import PlanDocument
from ..compiler.plan.files import as_document
from .analytic import analytic
from .event.level import event
from .model.report import SimReport

if TYPE_CHECKING:
    from ..compiler.plan.plan import Plan

LEVELS = {"analytic": analytic, "event": event}
FABRIC = "fabric"


def simulate(
    plan: PlanDocument | Plan | str | Path, samples: int = 1000, level: str = "event"
) -> SimReport:
    """Run `samples` training samples of a plan, or that of a directory, in time: at level
    'analytic', 'event' or 'fabric'.

    >>> report = weft.simulate(plan, samples=1000)
    >>> print(report.summary())

    The report counts cycles of the machine's clock, seconds and bytes. Of a whole plan only the
    document is read: no programs, no weights. The fabric level reads the programs too.

    Raises UnknownNameError for another level, UserError for a plan or a sample count that cannot be
    simulated. A plan that deadlocks is no error: the report says so in `deadlock`.
    """
    if level not in (*LEVELS, FABRIC):
        raise UnknownNameError("simulation level", level, (*LEVELS, FABRIC), "weft simulate --help")
    if level == FABRIC:
        return _fabric(plan, samples)
    return LEVELS[level](as_document(plan), samples)


def _fabric(plan: PlanDocument | Plan | str | Path, samples: int) -> SimReport:
    from ..compiler.plan.store import as_plan
    from .fabric import simulate_stepped  # reads programs, and so needs torch

    if isinstance(plan, PlanDocument):
        raise UserError(
            f"plan of {plan.model}, level fabric",
            expected="a whole plan, with the programs of its stages",
            got="its document alone",
            change="simulate what weft.compile or weft.load returns",
        )
    return simulate_stepped(as_plan(plan), samples)[0]
