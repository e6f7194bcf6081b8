"""Hardware constants of a plan, by their dotted name. The plan carries them as provenance."""

from __future__ import annotations

from ...backend.errors import UserError
from ...compiler.plan.document import PlanDocument


def constant(plan: PlanDocument, name: str) -> float:
    """The positive or zero number that the plan's target gives for `name`.

    Raises UserError when the plan does not carry it, or carries something else than a number.
    """
    for entry in plan.provenance:
        if entry.name == name:
            return _number(plan, name, entry.value)
    raise UserError(
        f"plan of {plan.model} for {plan.target}, provenance",
        expected=f"the constant '{name}', which the simulator needs",
        got=f"{len(plan.provenance)} constants, none of that name",
        change="compile the plan again with a target file that has it",
    )


def has_constants(plan: PlanDocument, *names: str) -> bool:
    """Whether the plan carries all of them."""
    return set(names) <= {entry.name for entry in plan.provenance}


def _number(plan: PlanDocument, name: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise UserError(
        f"plan of {plan.model} for {plan.target}, constant '{name}'",
        expected="a number, zero or more",
        got=repr(value),
        change="correct the target file and compile the plan again",
    )
