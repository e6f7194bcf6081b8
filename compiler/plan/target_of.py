"""The machine that a plan was made for, with the constants that its user had set."""

from __future__ import annotations

from ..targets.load import load_target
from ..targets.target import Target
from .document import PlanDocument


def target_of(plan: PlanDocument) -> Target:
    """The target that the plan names. Raises UnknownNameError if it does not come with weft."""
    changed = {c.name: str(c.value) for c in plan.provenance if c.source.startswith("set by")}
    return load_target(plan.target, changed)
