"""What the plan of a reversible network says is derived from its programs and edges again."""

from __future__ import annotations

from dataclasses import replace

import pytest
import weft
from helpers.reversible_plan import reversible_plan
from weft.compiler.plan.check import check
from weft.compiler.plan.plan import Plan


def rules_broken(plan: Plan, number: int, **changes: object) -> set[str]:
    """By a plan one stage of which says something else."""
    stages = list(plan.document.stages)
    stages[number] = replace(stages[number], **changes)
    broken = replace(plan.document, stages=tuple(stages))
    return {violation.rule for violation in check(broken, None, plan.programs)}


def test_a_reversible_plan_is_sound_and_says_what_comes_back(tmp_path) -> None:
    plan = reversible_plan()
    stages = plan.document.stages
    assert not check(plan.document, None, plan.programs)
    assert [stage.rebuilds for stage in stages].count(True) == 5
    assert sum(edge.rebuilt_bytes for edge in plan.document.edges) == 6 * 4 * 8 * 8 * 4
    again = weft.load(plan.save(tmp_path / "plan"))
    assert again.document == replace(plan.document, files=again.document.files)
    for key, program in plan.programs.items():
        assert again.programs[key].arriving == program.arriving
        assert again.programs[key].rebuilt == program.rebuilt


def test_anchors_and_what_rebuilds_are_derived_again() -> None:
    plan = reversible_plan()
    anchors = [stage.index for stage in plan.document.stages if stage.anchors]
    assert len(anchors) >= 3  # two layers of five, and what reads the last one
    assert rules_broken(plan, anchors[0], anchors=()) == {"anchors"}
    number = next(stage.index for stage in plan.document.stages if stage.rebuilds)
    assert rules_broken(plan, number, rebuilds=False) == {"given-back"}


@pytest.mark.parametrize("reversible", [True, False])
def test_a_value_that_nobody_gives_back_is_noticed(reversible: bool) -> None:
    plan = reversible_plan()
    programs = dict(plan.programs)
    if reversible:
        key = next(s.program for s in plan.document.stages if programs[s.program].rebuilt)
        programs[key] = replace(programs[key], rebuilt=())
    found = {violation.rule for violation in check(plan.document, None, programs)}
    assert ("given-back" in found) == reversible
