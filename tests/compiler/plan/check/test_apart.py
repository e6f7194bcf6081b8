"""Stages with two regions: what the checker asks of them, and which faults it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.compiler.pipeline import Options, compile_model
from weft.compiler.plan.check import check
from weft.compiler.plan.document import Mappings, PlanDocument
from weft.compiler.plan.plan import Plan
from weft.compiler.plan.stage_record import RegionUse, StageRecord
from weft.sim import simulate


def _compiled(mappings: Mappings) -> Plan:
    torch.manual_seed(0)
    layers = [nn.Conv2d(channels, 16, 3, padding=1) for channels in (3, 16, 16)]
    model = nn.Sequential(*layers, nn.MaxPool2d(4), nn.Flatten(), nn.Linear(256, 4))
    sample = torch.zeros(1, 3, 16, 16), torch.zeros(1, dtype=torch.long)
    return compile_model(model, sample, F.cross_entropy, options=Options(mappings=mappings))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return _compiled("apart")


def found(plan: Plan, position: int, change: Callable[[StageRecord], StageRecord]) -> set[str]:
    stages = list(plan.document.stages)
    stages[position] = change(stages[position])
    broken = replace(plan.document, stages=tuple(stages))
    return {violation.rule for violation in check(broken, None, plan.programs)}


def first(plan: Plan) -> int:
    return next(n for n, stage in enumerate(plan.document.stages) if stage.is_apart)


def test_a_plan_with_stages_apart_is_sound_and_keeps_its_pace(plan: Plan) -> None:
    assert not check(plan.document, None, plan.programs)
    assert sum(stage.is_apart for stage in plan.document.stages) >= 2
    report = simulate(plan, 500)
    totals = plan.document.totals
    assert report.initiation_interval_cycles == totals.initiation_interval_cycles
    assert report.utilisation == pytest.approx(totals.utilisation)


def test_the_summary_says_how_many_stages_are_apart(plan: Plan) -> None:
    count = sum(stage.is_apart for stage in plan.document.stages)
    total = len(plan.document.stages)
    assert f"{count} of {total} stages have a region for the forward alone" in plan.summary()
    assert "for the forward alone" not in _compiled("all").summary()


def test_it_is_faster_than_with_one_region_a_stage(plan: Plan) -> None:
    together, apart = _compiled("all").document.totals, plan.document.totals
    assert apart.initiation_interval_cycles < 0.9 * together.initiation_interval_cycles
    assert apart.utilisation <= 1


def _swapped(stage: StageRecord) -> StageRecord:
    return replace(stage, uses=stage.uses[::-1])


def _away(stage: StageRecord) -> StageRecord:
    forward, backward = stage.uses
    place = backward.region.rectangle
    moved = replace(place, row=place.row + 300, column=place.column + 300)
    region = replace(backward.region, rectangle=moved)
    return replace(stage, uses=(forward, replace(backward, region=region)))


def _other_tiling(stage: StageRecord) -> StageRecord:
    forward, backward = stage.uses
    tiling = replace(backward.region.tiling, groups=1)
    region = replace(backward.region, tiling=tiling)
    return replace(stage, uses=(forward, replace(backward, region=region)))


def _handing_over(change: int) -> Callable[[StageRecord], StageRecord]:
    def changed(stage: StageRecord) -> StageRecord:
        operators = [
            replace(one, network_cycles=one.network_cycles + change)
            if one.operator == "weft.hand_over"
            else one
            for one in stage.operators
        ]
        return replace(stage, operators=tuple(operators))

    return changed


def _without_hand_over(stage: StageRecord) -> StageRecord:
    kept = tuple(one for one in stage.operators if one.operator != "weft.hand_over")
    return replace(stage, operators=kept)


@pytest.mark.parametrize(
    "change", [_away, _other_tiling, _handing_over(1), _handing_over(-1), _without_hand_over]
)
def test_faults_are_named(plan: Plan, change: Callable[[StageRecord], StageRecord]) -> None:
    assert "apart" in found(plan, first(plan), change)


def test_purposes_come_in_order(plan: Plan) -> None:
    assert "region-uses" in found(plan, first(plan), _swapped)


def test_cycles_of_both_uses_are_those_of_their_phases(plan: Plan) -> None:
    def nudged(stage: StageRecord) -> StageRecord:
        forward, backward = stage.uses
        return replace(stage, uses=(replace(forward, cycles=forward.cycles + 1), backward))

    assert "region-uses" in found(plan, first(plan), nudged)


def test_no_hand_over_without_another_region(plan: Plan) -> None:
    operators = plan.document.stages[first(plan)].operators
    handed = next(one for one in operators if one.operator == "weft.hand_over")
    last = len(plan.document.stages) - 1

    def with_one(stage: StageRecord) -> StageRecord:
        return replace(stage, operators=(*stage.operators, handed))

    assert "apart" in found(plan, last, with_one)


def test_the_last_stage_has_one_region(plan: Plan) -> None:
    def split(stage: StageRecord) -> StageRecord:
        use = stage.uses[0]
        uses = tuple(
            RegionUse(replace(use.region, id=purpose), purpose, stage.cycles.of(purpose))
            for purpose in ("forward", "backward")
        )
        return replace(stage, uses=uses)

    assert "apart" in found(plan, len(plan.document.stages) - 1, split)


def test_what_bounds_a_stage_is_asked_of_the_busier_region(plan: Plan) -> None:
    """A forward that only exchanges, beside a backward of a few more cycles of arithmetic: cycles
    of both together would be bound by the network."""

    def changed(bound: str) -> Callable[[StageRecord], StageRecord]:
        def change(stage: StageRecord) -> StageRecord:
            one = replace(stage.operators[0], family="linear", steps=())
            exchanged = replace(one, phase="forward", compute_cycles=0, network_cycles=100)
            computed = replace(one, phase="backward", compute_cycles=70, network_cycles=35)
            return replace(stage, operators=(exchanged, computed), bound_by=bound)

        return change

    assert "bound-by" not in found(plan, first(plan), changed("compute"))
    assert "bound-by" in found(plan, first(plan), changed("network"))


def test_the_plan_says_what_bounds_the_busier_region(plan: Plan) -> None:
    for stage in plan.document.stages:
        if not stage.is_apart:
            continue
        forward, after = (use.cycles for use in stage.uses)
        phases = ("backward", "update") if after > forward else ("forward",)
        own = [one for one in stage.operators if one.phase in phases]
        network = sum(one.network_cycles for one in own)
        assert (stage.bound_by == "network") == (network > max(forward, after) / 2)


def test_totals_follow_from_the_slower_region(plan: Plan) -> None:
    """The pace of the plan is found again by the checker's own inequalities."""
    document: PlanDocument = plan.document
    faster = replace(document.totals, initiation_interval_cycles=1.0)
    broken = replace(document, totals=faster)
    assert "initiation-interval" in {one.rule for one in check(broken)}
