"""What more PEs would do for a stage, and which term stops its cycles from falling."""

from dataclasses import replace

import pytest
from helpers.explained_plan import PLAN, PRICING, STAGES, TARGET, compiled
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
        if not (step.is_plan or step.is_beyond or step.is_apart):
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


def test_a_forward_apart_is_offered_where_that_is_faster_and_is_what_such_a_plan_has():
    offered = fall_of(PLAN.document.stages[0], STAGES[0], PRICING).steps[-1]
    assert offered.is_apart
    table = PRICING.table_apart(STAGES[0])
    fits = PRICING.needed_bytes_of(STAGES[0], table) <= TARGET.capacity_bytes
    assert offered.cycles == table.total_cycles()[fits].min()
    assert offered.pes == 2 * offered.tiling.height * offered.tiling.width
    apart = compiled("wse2", mappings="apart")
    record = apart.document.stages[0]
    assert record.is_apart
    own = fall_of(record, apart.stages.stages[0], Pricing(apart.stages, TARGET, apart.training)).own
    assert own.is_apart
    assert sum(own.terms.values()) == own.cycles == record.pace_cycles
    assert own.cycles < PLAN.document.stages[0].pace_cycles
