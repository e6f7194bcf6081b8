"""Hardware constants of a plan, by their dotted name, and the target that they are of."""

from __future__ import annotations

from collections.abc import Mapping

from ...backend.errors import UserError
from ..targets.load import load_target
from ..targets.target import Target
from .document import PlanDocument


def constant(plan: PlanDocument, name: str) -> float:
    """The positive or zero number that the plan's target gives for `name`.

    Raises UserError when the plan does not carry it, or carries something else than a number.
    """
    return number({entry.name: entry.value for entry in plan.provenance}, name, where_of(plan))


def number(known: Mapping[str, object], name: str, where: str) -> float:
    """The same of values by name; `where` says whose they are. Raises UserError, too."""
    if name not in known:
        raise UserError(
            f"{where}, provenance",
            expected=f"the constant '{name}', which the simulator needs",
            got=f"{len(known)} constants, none of that name",
            change="compile the plan again with a target file that has it",
        )
    value = known[name]
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise UserError(
        f"{where}, constant '{name}'",
        expected="a number, zero or more",
        got=repr(value),
        change="correct the target file and compile the plan again",
    )


def has_constants(plan: PlanDocument, *names: str) -> bool:
    """Whether the plan carries all of them."""
    return set(names) <= {entry.name for entry in plan.provenance}


def where_of(plan: PlanDocument) -> str:
    """How a message names a plan."""
    return f"plan of {plan.model} for {plan.target}"


def target_of(plan: PlanDocument) -> Target:
    """The target that the plan names, with the constants that its user had set.

    Raises UnknownNameError if it does not come with weft.
    """
    changed = {c.name: str(c.value) for c in plan.provenance if c.source.startswith("set by")}
    return load_target(plan.target, changed)
