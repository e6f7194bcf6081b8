"""What more PEs and other machines would do: against brute force, and compiles for them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import weft
from torch import nn
from weft.backend.errors import UnknownNameError, UserError
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.plan.causes import EXCHANGE, START, TERMS, WORK
from weft.compiler.plan.constants import target_of
from weft.compiler.remap.new_map import new_map
from weft.compiler.targets import load_target
from weft.study.explain import explain, front_of
from weft.study.explain.fall import fall_of
from weft.study.explain.page import page_of
from weft.study.explain.sensitivity import sensitivities
from weft.study.explain.text import front_text, text_of, verdict


def compiled(target, **options):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10)
    )
    sample = (torch.zeros(1, 3, 8, 8), torch.zeros(1, 10))
    return weft.compile(
        model, sample, loss=nn.functional.mse_loss, target=target, options=weft.Options(**options)
    )


PLAN = compiled("wse2")
TARGET = load_target("wse2")
PRICING = Pricing(PLAN.stages, TARGET, PLAN.training)
STAGES = PLAN.stages.stages


@pytest.fixture(scope="module")
def explanation():
    return explain(PLAN)


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


def test_a_wafer_that_is_too_small_is_the_limit():
    """On 16 rows of PEs a tiling of more rows, which would be faster, does not fit."""
    small = replace(TARGET, grid=replace(TARGET.grid, rows=16, columns=16))
    pricing = Pricing(PLAN.stages, small, PLAN.training)
    plan = new_map(PLAN, small)
    fall = fall_of(plan.document.stages[0], STAGES[0], pricing)
    assert fall.fastest.is_beyond
    assert fall.fastest.tiling.height > 16
    assert fall.fastest.cycles < fall.own.cycles
    assert "without the wafer's limit" in verdict(fall)


def test_sensitivities_are_those_of_compiles_for_such_machines():
    rows = {row.name: row for row in sensitivities(PLAN, TARGET)}
    base = rows["as it is"].throughput_samples_per_s
    assert base == pytest.approx(PLAN.document.totals.throughput_samples_per_s)
    hop = compiled(replace(TARGET, noc=replace(TARGET.noc, hop_cycles=0.5)))
    assert rows["hop"].interval_cycles == hop.document.totals.initiation_interval_cycles
    links = compiled(replace(TARGET, noc=replace(TARGET.noc, link_bytes_per_cycle=8)))
    assert rows["links"].interval_cycles == links.document.totals.initiation_interval_cycles
    assert rows["clock"].gain == pytest.approx(1.0, abs=0.05)
    assert rows["clock"].constants == "clock_hz 8.5e+08 > 1.7e+09"


def test_a_machine_that_the_plan_does_not_fit_has_a_reason(monkeypatch):
    from weft.study.explain import sensitivity as module

    monkeypatch.setattr(module, "_RATES", {"less SRAM": ("sram.bytes_per_pe",)})
    monkeypatch.setattr(module, "_FACTOR", 0.1255)
    rows = sensitivities(PLAN, TARGET)
    assert rows[1].throughput_samples_per_s is None
    assert rows[1].reason


def test_the_explanation_prints_and_is_a_page(explanation):
    text = text_of(explanation)
    assert "more PEs for " in text
    assert "this plan" in text
    assert "memory ports" in text
    assert EXCHANGE in text
    pytest.importorskip("jinja2")
    page = page_of(explanation)
    assert explanation.falls[0].stage in page
    assert "Other machines" in page


def test_the_front_is_that_of_all_choices():
    """At every pace no stage has a smaller tiling that is fast enough."""
    front = front_of(PLAN, TARGET, "speed")
    sizes = [PRICING.stage_kernel(stage).sizes for stage in STAGES]
    for point in front.points:
        least = sum(
            int(of.areas[of.interval_cycles <= point.interval_cycles].min()) for of in sizes
        )
        assert point.pes == least
    intervals, areas = zip(*((p.interval_cycles, p.pes) for p in front.points), strict=True)
    assert np.all(np.diff(intervals) > 0)
    assert np.all(np.diff(areas) < 0)
    assert front.points[front.best].interval_cycles == min(intervals)
    best = front_of(PLAN, TARGET, "area")
    products = [p.area_time for p in best.points]
    assert best.points[best.best].area_time == min(products)
    assert "--objective area" in front_text(best)


def test_objectives_are_refused_with_numbers():
    tiny = compiled("tiny_mesh")
    with pytest.raises(UserError, match=r"(\d+) of \1 constants assumed"):
        front_of(tiny, target_of(tiny.document), "speed")
    with pytest.raises(UnknownNameError, match="energy"):
        front_of(PLAN, TARGET, "energy")
