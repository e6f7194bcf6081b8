"""The way in: one plan, one level, one report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..backend.errors import UnknownNameError
from ..compiler.plan.document import PlanDocument
from .analytic import analytic
from .event import event
from .report import SimReport

if TYPE_CHECKING:
    from ..compiler.plan.plan import Plan

LEVELS = {"analytic": analytic, "event": event}


def simulate(plan: PlanDocument | Plan, samples: int = 1000, level: str = "event") -> SimReport:
    """Run `samples` training samples of a plan in time, at level 'analytic' or 'event'.

    Of a whole plan only the document is read: no programs, no weights.

    Raises UnknownNameError for another level, UserError for a plan or a sample count that cannot be
    simulated. A plan that deadlocks is no error: the report says so in `deadlock`.
    """
    if level not in LEVELS:
        raise UnknownNameError("simulation level", level, LEVELS, "weft simulate --help")
    document = plan if isinstance(plan, PlanDocument) else plan.document
    return LEVELS[level](document, samples)
