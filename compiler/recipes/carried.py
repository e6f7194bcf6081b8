"""The recipe that a plan carries."""

from __future__ import annotations

from ..plan.plan import Plan


def carried_recipe(plan: Plan) -> dict[str, object]:
    """The recipe the plan was compiled from; a model compiled in Python has the defaults."""
    if plan.document.recipe:
        return dict(plan.document.recipe)
    shape = list(plan.document.inputs[0].shape[1:])
    return {"model": plan.document.model, "input": {"shape": shape}}
