"""What bounds a stage, what to do about it, and energy."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers import plans
from helpers.plans_to_train import small_plan
from weft.compiler.plan.stage_record import StageRecord
from weft.compiler.plan.text.numbers import energy as joules
from weft.sim import simulate
from weft.sim.page.advice import advise, in_phase, slowest_stage, verdict

CHAIN = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)


def test_stages_that_wait_for_a_slower_one_are_told_so():
    """What bounds them is still their own."""
    first, _, last = advise(CHAIN, simulate(CHAIN, 200))
    for entry, idle in ((first, 56), (last, 62)):
        assert entry.bound_by == "compute"
        assert f"idle {idle}% at the pace of layer1" in entry.advice


def test_a_stage_that_waits_says_what_takes_most_of_its_own_time():
    plan = small_plan().document
    report = simulate(plan, 200)
    waiting = [
        (stage, entry)
        for stage, entry in zip(plan.stages, advise(plan, report), strict=True)
        if "at the pace of" in entry.advice
    ]
    assert waiting
    for stage, entry in waiting:
        kind = "network_cycles" if entry.bound_by == "network" else "compute_cycles"
        cycles = {}
        for one in stage.operators:
            name = in_phase(one)
            cycles[name] = cycles.get(name, 0) + getattr(one, kind)
        assert max(cycles, key=cycles.__getitem__) in entry.advice


def test_a_run_too_short_is_told_so():
    """Of two samples most of the time is fill and drain: no FIFO or link is to blame."""
    report = simulate(CHAIN, 2)
    assert not report.steady
    assert report.bound_by.startswith("fill: the plan's pace is a sample every 80 cycles")
    assert all("more samples" in entry.advice for entry in advise(CHAIN, report))
    assert simulate(CHAIN, 200).bound_by == "compute: layer1"


@pytest.mark.parametrize(
    ("value", "said"), [(1.23, "1.23 J"), (0.062, "62 mJ"), (4.5e-6, "4.5 uJ"), (8e-9, "8 nJ")]
)
def test_energy_is_readable(value: float, said: str) -> None:
    assert joules(value) == said


def test_the_verdict_names_the_stage_that_sets_the_pace():
    plan = plans.chain([(10, 20, 5), (30, 40, 10), (10, 10, 10)], size=400)
    report = simulate(plan, 200)
    said = verdict(plan, report, advise(plan, report))
    assert said.startswith("A sample takes 80 cycles. layer1 sets the pace: ")
    assert slowest_stage(report) == 1


def test_a_stage_with_two_regions_is_as_busy_as_the_busier_one():
    """In the mean over both it is at work for 60 of 80 cycles, and sets the pace all the same."""
    chain = plans.chain([(10, 20, 5), (40, 70, 10), (10, 10, 10)], size=400)
    plan = plans.apart(plans.backward_first(chain), 1)
    report = simulate(plan, 200)
    assert report.stages[1].utilisation == pytest.approx(60 / 80)
    assert report.stages[1].pace_share == pytest.approx(1)
    said = verdict(plan, report, advise(plan, report))
    assert said.startswith("A sample takes 80 cycles. layer1 sets the pace: ")
    assert slowest_stage(report) == 1


def test_the_verdict_of_equal_stages_counts_them():
    plan = plans.chain([(10, 20, 10)] * 3, size=4)
    report = simulate(plan, 200)
    assert "layer0 and 2 more as slow set the pace" in verdict(plan, report, advise(plan, report))


def test_the_verdict_of_a_deadlock():
    edges = [plans.edge(-1, 0, 8), *(plans.edge(i, i + 1, 8, 8) for i in range(3))]
    stuck = plans.plan([(10, 10, 10)] * 4, [*edges, plans.edge(0, 3, 8, 8, depth=1)])
    report = simulate(stuck, 100)
    assert "stands still" in verdict(stuck, report, advise(stuck, report))


def _only_updates(stage: StageRecord) -> StageRecord:
    updates = tuple(one for one in stage.operators if one.phase == "update")
    nonzeros = replace(stage.nonzeros, total=stage.nonzeros.dense)
    return replace(stage, operators=updates, nonzeros=nonzeros)


def test_an_update_is_named_once():
    plan = small_plan().document
    report = simulate(plan, 200)
    stages = tuple(_only_updates(stage) for stage in plan.stages)
    said = advise(replace(plan, stages=stages), report)[slowest_stage(report)].advice
    assert said.startswith("update takes ")
