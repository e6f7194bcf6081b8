"""Figures of plans: what they are made of, and how wide their bars are."""

from dataclasses import replace

import pytest
import torch
import weft
from helpers import plans
from helpers.plans import edge, plan
from torch import nn
from weft.compiler.plan.evidence import calibration, energy_of, figures_of
from weft.compiler.plan.evidence.mechanisms import (
    COLLECTIVE,
    EXCHANGE,
    HOST,
    PE_POWER,
    STREAM,
    SYSTEM_POWER,
    TRIGGERED_PASS,
    TRIGGERED_PRODUCT,
    WHOLE_PLAN,
    WRITTEN_PASS,
    WRITTEN_PRODUCT,
)
from weft.compiler.plan.stage_record import OperatorCost, Rectangle, Region, RegionUse, Tiling
from weft.compiler.targets.constant import MachineConstant

LINEAR = OperatorCost("mm", "aten.mm", "linear", "forward", "", "", 1, 1, 60, 30)
PASS = OperatorCost("relu", "aten.relu", "elementwise", "forward", "", "", 0, 0, 10, 0)


def with_operators(document, *stages, target="wse2"):
    changed = [replace(s, operators=o) for s, o in zip(document.stages, stages, strict=True)]
    return replace(document, stages=tuple(changed), target=target)


def bounded(document, bound, cycles):
    totals = replace(document.totals, bound_by=bound, initiation_interval_cycles=cycles)
    return replace(document, totals=totals)


def test_a_figure_is_made_of_its_operators_cycles():
    document = with_operators(plan([(60, 30, 10)], [edge(-1, 0)]), (LINEAR, PASS))
    document = bounded(document, "compute: layer0", 100.0)
    found = figures_of(document)
    shares = {term.mechanism: term.share for term in found.interval.terms}
    parts = {TRIGGERED_PRODUCT: 0.6, COLLECTIVE: 0.3, TRIGGERED_PASS: 0.1}
    assert shares == {**parts, WHOLE_PLAN: 1.0}
    low, high = calibration().interval(shares, "wse2", frozenset())
    assert found.interval.low == pytest.approx(100 * low)
    assert found.interval.high == pytest.approx(100 * high)
    clock = document.clock_hz
    assert found.throughput.low == pytest.approx(clock / found.interval.high)
    assert found.throughput.high == pytest.approx(clock / found.interval.low)
    assert found.throughput.value == pytest.approx(clock / 100)


def test_a_figure_of_two_regions_is_made_of_the_cycles_of_the_busier_one():
    backward = replace(PASS, phase="backward", compute_cycles=25, network_cycles=15)
    stages = [(90, 40, 0), (10, 10, 0)]
    chain = plans.apart(plans.plan(stages, [edge(-1, 0), edge(0, 1)]), 0)
    document = with_operators(chain, (LINEAR, backward), (PASS,))
    found = figures_of(bounded(document, "compute: layer0", 90.0))
    shares = {term.mechanism: term.share for term in found.interval.terms}
    assert shares == {TRIGGERED_PRODUCT: 60 / 90, COLLECTIVE: 30 / 90, WHOLE_PLAN: 1.0}


def test_a_plan_is_no_surer_than_the_one_whole_plan_that_was_measured():
    known = calibration()
    kernel = {COLLECTIVE: 1.0}
    plan_of_it = {**kernel, WHOLE_PLAN: 1.0}
    (measured,) = known.rows_of(WHOLE_PLAN, "wse2")
    assert known.interval(kernel, "wse2", frozenset())[1] < 1.05
    largest = pytest.approx(1 + measured.error, rel=1e-12)
    end = known.interval(plan_of_it, "wse2", frozenset())[1]
    assert end > 1 + measured.error or end == largest
    assert known.scale(plan_of_it, "wse2", frozenset()) == pytest.approx(3.84, abs=0.01)
    assert known.scale(plan_of_it, "wse3", frozenset()) == 5.0
    unsure = {STREAM: 1.0, WHOLE_PLAN: 1.0}
    assert known.scale(unsure, "wse2", frozenset({STREAM})) == 10.0


def test_written_programs_and_rings_are_mechanisms_of_their_own():
    document = with_operators(plan([(60, 30, 10)], [edge(-1, 0)]), (LINEAR, PASS))
    region = Region("r", Rectangle(0, 0, 4, 4), Tiling(4, 4, 4, algorithm="ring"))
    stage = replace(document.stages[0], uses=(RegionUse(region, "all", 100),))
    written = MachineConstant("software.triggered", False, "here", "published")
    document = replace(document, stages=(stage,), provenance=(*document.provenance, written))
    terms = figures_of(bounded(document, "compute: layer0", 100.0)).interval.terms
    found = [term.mechanism for term in terms if term.mechanism != WHOLE_PLAN]
    assert found == [WRITTEN_PRODUCT, EXCHANGE, WRITTEN_PASS]


def test_a_less_sure_stage_nearly_as_slow_widens_the_bar():
    alone = with_operators(plan([(100, 0, 0), (1, 0, 0)], [edge(0, 1)]), (LINEAR,), ())
    passes = (replace(PASS, compute_cycles=99),)
    beside = with_operators(plan([(100, 0, 0), (99, 0, 0)], [edge(0, 1)]), (LINEAR,), passes)
    one, two = (figures_of(bounded(d, "compute: layer0", 100.0)).interval for d in (alone, beside))
    assert two.value == one.value == 100.0
    assert two.high > one.high
    assert two.low >= one.low
    assert two.terms == one.terms


@pytest.mark.parametrize(("bound", "mechanism"), [("link: a -> b", STREAM), ("host: x", HOST)])
def test_streams_and_the_host_were_never_measured(bound, mechanism):
    document = with_operators(plan([(100, 0, 0)], [edge(-1, 0)]), (LINEAR,))
    figure = figures_of(bounded(document, bound, 200.0)).interval
    (term,) = (term for term in figure.terms if term.mechanism != WHOLE_PLAN)
    assert (term.mechanism, term.rows, term.support) == (mechanism, (), 0.0)
    assert figure.high / figure.value > 1.1


def test_a_figure_of_assumed_constants_alone_says_so():
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    sample = (torch.zeros(1, 8), torch.zeros(1, 4))
    loss = nn.functional.mse_loss
    tiny, wafer = (
        weft.compile(model, sample, loss=loss, target=name) for name in ("tiny_mesh", "wse2")
    )
    assert figures_of(tiny.document).throughput.is_assumed
    assert "assumed constants alone" in tiny.summary()
    assert not figures_of(wafer.document).throughput.is_assumed
    assert "assumed" not in wafer.summary()
    report = weft.simulate(wafer, samples=50)
    bar = figures_of(wafer.document).throughput.bar()
    assert bar in report.summary()
    assert bar in wafer.summary()
    low, high = report.to_dict()["error_bars"]["throughput_samples_per_s"]
    assert low < report.throughput_samples_per_s < high


def test_energy_rests_on_the_power_alone():
    model, sample = nn.Linear(8, 4), (torch.zeros(1, 8), torch.zeros(1, 4))
    for target, assumed in (("wse2", False), ("wse3", True)):
        document = weft.compile(model, sample, loss=nn.functional.mse_loss, target=target).document
        pes = energy_of(document, PE_POWER, 2.0)
        assert pes.is_assumed == assumed
        assert not energy_of(document, SYSTEM_POWER, 2.0).is_assumed
        assert pes.low < 2.0 < pes.high
        assert ("assumed constants alone" in pes.bar()) == assumed
