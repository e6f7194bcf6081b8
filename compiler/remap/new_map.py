"""A plan mapped anew for the masks it has: what to do where masks have outgrown their map.

Plan --lower--> Plan
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..emit.emit import Labels
from ..pipeline import lower
from ..plan.document import PlanDocument
from ..plan.plan import Plan
from ..plan.program import Stages
from ..plan.stage_record import OperatorCost, StageRecord
from ..targets.load import load_target
from ..targets.target import Target


def new_map(plan: Plan, target: str | Target | None = None, *, is_final: bool = False) -> Plan:
    """The same stages, weights and masks, laid out for these masks.

    `target` is by default the plan's own, by name with the constants that were set. Masks that the
    plan's recipe changes keep room and stay unbalanced, as when it was compiled. With `is_final`
    they stay as they are from now on: they are balanced, and the new plan's recipe has no sparsity
    to change them by.
    Raises InfeasibleError if they do not fit, and UnknownNameError for a target that is gone.
    """
    document = plan.document
    machine = load_target(target) if isinstance(target, str) else target or target_of(plan)
    recipe = document.recipe | ({"sparsity": None} if is_final and document.recipe else {})
    training = plan.training if not is_final else replace(plan.training, dynamic=frozenset())
    labels = Labels(
        document.model,
        document.mode,
        document.granularity,
        document.fit,
        document.witness,
        recipe,
    )
    stages = _without_numbers(plan.stages)
    made = lower(stages, machine, training, labels, plan.tensors)
    return replace(made, document=_with_sources(made.document, document))


def target_of(plan: Plan) -> Target:
    """The plan's own, by name with the constants that were set."""
    changed = [c for c in plan.document.provenance if c.source.startswith("set by")]
    return load_target(plan.document.target, {c.name: str(c.value) for c in changed})


def _without_numbers(stages: Stages) -> Stages:
    """Stages of a plan are called number:name; a new plan numbers them itself."""
    named = (replace(s, name=s.name.partition(":")[2]) for s in stages.stages)
    return replace(stages, stages=tuple(named))


def _with_sources(document: PlanDocument, before: PlanDocument) -> PlanDocument:
    """With the operators' names and source lines of the plan before, which programs on disk lose.

    Both list a stage's operators of one kind in the order of its program; where views cost
    something in one of them only, their lines stay unknown.
    """
    pairs = zip(document.stages, before.stages, strict=True)
    return replace(document, stages=tuple(_stage_with_sources(*pair) for pair in pairs))


def _stage_with_sources(stage: StageRecord, before: StageRecord) -> StageRecord:
    known: dict[tuple[str, str], list[OperatorCost]] = {}
    for operator in before.operators:
        known.setdefault((operator.phase, operator.operator), []).append(operator)
    counts = Counter((operator.phase, operator.operator) for operator in stage.operators)
    same = {key: iter(found) for key, found in known.items() if len(found) == counts[key]}
    return replace(
        stage,
        operators=tuple(
            _named_as(operator, next(same.get((operator.phase, operator.operator), iter(())), None))
            for operator in stage.operators
        ),
    )


def _named_as(operator: OperatorCost, before: OperatorCost | None) -> OperatorCost:
    if before is None:
        return operator
    return replace(operator, name=before.name, module=before.module, source=before.source)
