"""The recipe that a plan carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..plan.document import PlanDocument

if TYPE_CHECKING:
    from ..plan.plan import Plan


def carried_recipe(plan: Plan) -> dict[str, object]:
    """The recipe the plan was compiled from; a model compiled in Python has the defaults."""
    return recipe_of_document(plan.document)


def recipe_of_document(document: PlanDocument) -> dict[str, object]:
    """The same, of a plan.yaml that was read without the other files."""
    if document.recipe:
        return dict(document.recipe)
    shape = list(document.inputs[0].shape[1:])
    return {"model": document.model, "input": {"shape": shape}}
