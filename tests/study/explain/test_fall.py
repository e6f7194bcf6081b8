"""What more PEs would do for a stage, and which term stops its cycles from falling."""

from dataclasses import replace

import pytest
from helpers.explained_plan import PLAN, PRICING, STAGES, TARGET
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.plan.causes import START, TERMS, WORK
from weft.study.explain.fall import fall_of


@pytest.mark.parametrize("index", range(len(STAGES)))
def test_terms_add_up_to_the_cycles_of_the_plan(index):
    record = PLAN.document.stages[index]
    own = fall_of(record, STAGES[index], PRICING).own
    assert list(own.terms) == list(TERMS)
    assert sum(own.terms.values()) == own.cycles == record.cycles.total_cycles
    assert all(cycles >= 0 for cycles in own.terms.values())


def test_every_step_is_the_fastest_of_all_tilings_so_large():
    fall = fall_of(PLAN.document.stages[0], STAGES[0], PRICING)
    table = PRICING.table(STAGES[0])
    fits = PRICING.needed_bytes(STAGES[0]) <= TARGET.capacity_bytes
    areas = table.tilings.height * table.tilings.width
    for step in fall.steps:
        if not step.is_plan and not step.is_beyond:
            assert step.cycles == table.total_cycles()[fits & (areas <= step.most_pes)].min()
            assert step.pes <= step.most_pes
    later = [step.cycles for step in fall.steps[fall.steps.index(fall.own) :]]
    assert later == sorted(later, reverse=True)
    assert fall.fastest.cycles <= table.total_cycles()[fits].min()


def test_work_is_dealt_out_evenly_and_starts_are_starts():
    """Twice the PEs halve the work; a machine that starts at once has no starts."""
    fall = fall_of(PLAN.document.stages[0], STAGES[0], PRICING)
    first, second = fall.steps[0], fall.steps[1]
    work = [step.terms[WORK] * step.pes for step in (first, second)]
    assert work[0] == pytest.approx(work[1], rel=0.05)
    vector = replace(TARGET.vector, issue_cycles=0, trigger_cycles=0, task_cycles=0, loop_cycles=0)
    quick = replace(TARGET, vector=vector, sparsity=replace(TARGET.sparsity, nonzero_cycles=0))
    own = fall_of(
        PLAN.document.stages[0], STAGES[0], Pricing(PLAN.stages, quick, PLAN.training)
    ).own
    assert own.terms[START] == 0
    assert fall.own.terms[START] > 0
