"""Routed stages of a plan: what they record, what they cost, and that a wrong record is found."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import weft
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.backend.nn.upcycling import Experts, expert_loads, upcycle
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.plan.check import check
from weft.compiler.plan.plan import Plan
from weft.compiler.plan.routed import Routed
from weft.compiler.plan.stage_record import OperatorCost, ProductStep, StageRecord
from weft.compiler.plan.text.show import show_stage
from weft.compiler.targets.load import load_target
from weft.sim.model.rows import ROUTING
from weft.study.explain.fall import fall_of

TOKENS, WIDTH, HIDDEN = 64, 32, 64


class Model(nn.Module):
    """x + mlp(x), or the experts in its place."""

    def __init__(self, hidden: int = HIDDEN, width: int = WIDTH) -> None:
        super().__init__()
        up, down = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, width, bias=False)
        self.mlp = nn.Sequential(up, nn.ReLU(), down)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(x)


SAMPLE = torch.randn(1, TOKENS, WIDTH, generator=torch.Generator().manual_seed(0))


@cache
def plan(experts: int = 4, loads: tuple[float, ...] | None = None, capacity: Any = None) -> Plan:
    """Of `experts` experts, two of them for a token; of none: as many active units, dense."""
    torch.manual_seed(0)
    model: nn.Module = Model(2 * HIDDEN)
    if experts:
        options = {"experts": experts, "top_k": 2, "balance": 0.0, "capacity": capacity}
        model = upcycle(Model(), ("mlp",), **options).model
    chosen = weft.Options(loads={"mlp": loads} if loads else {})
    return weft.compile(model, (SAMPLE, SAMPLE), nn.functional.mse_loss, "wse2", chosen)


def routed(record: StageRecord) -> list[tuple[OperatorCost, Routed]]:
    return [(o, step) for o in record.operators for step in o.steps if isinstance(step, Routed)]


def experts_of(made: Plan) -> list[StageRecord]:
    return [record for record in made.document.stages if routed(record)]


def test_the_plan_records_how_rows_are_dealt_out() -> None:
    stages = experts_of(plan())
    assert len(stages) == 2
    assert [len(routed(stage)) for stage in stages] == [2, 3]  # the sample has no gradient
    for stage in stages:
        for operator, load in routed(stage):
            assert load == Routed(4, 2 * TOKENS, 2, TOKENS, (32.0,) * 4)
            assert operator.macs_dense == 2 * TOKENS * WIDTH * HIDDEN
        assert stage.tiling.in_split % 4 == 0
    again = check(plan().document, load_target("wse2"), plan().programs)
    assert again == ()


def test_show_says_how_rows_are_dealt_out() -> None:
    made = plan(loads=(0.4, 0.2, 0.2, 0.2))
    said = show_stage(made.document, experts_of(made)[0].id)
    assert (
        "4, 2 for a token: 32.0 rows each in the mean, 52 for the fullest, 64 at worst;"
        " room for 64; 38% of products' time waiting" in said
    )
    assert "for a token" not in show_stage(made.document, made.document.stages[-1].id)


def test_loads_of_a_module_that_is_not_there_are_refused() -> None:
    options = weft.Options(loads={"ffn": (0.4, 0.2, 0.2, 0.2)}, witness=False)
    even = upcycle(Model(), ("mlp",), experts=4, top_k=2).model
    with pytest.raises(UserError, match=r"module of recorded loads[\s\S]*ffn"):
        weft.compile(even, (SAMPLE, SAMPLE), nn.functional.mse_loss, "wse2", options)


def test_a_capacity_bounds_rows_and_room() -> None:
    (_, load), *_ = routed(experts_of(plan(capacity=1.25))[0])
    assert (load.capacity, load.fullest, load.worst) == (40, 32, 40)


def test_the_fullest_expert_sets_the_time() -> None:
    even, uneven = plan(), plan(loads=(0.4, 0.2, 0.2, 0.2))
    (_, load), *_ = routed(experts_of(uneven)[0])
    assert load.fullest == 52
    assert load.taken == pytest.approx(2 * TOKENS)
    assert load.idle_share == pytest.approx(1 - 128 / (4 * 52))
    for made, tiling in ((even, experts_of(even)[0].tiling),):
        stages = [stage for stage in made.stages.stages if "mlp" in stage.name][-2:]
        target = load_target("wse2")
        training = replace(made.training, loads={"*": (0.4, 0.2, 0.2, 0.2)})
        for stage in stages:
            slow = Pricing(made.stages, target, training).reprice(stage, tiling=tiling)
            fast = Pricing(made.stages, target, made.training).reprice(stage, tiling=tiling)
            for one, other in zip(fast.operators, slow.operators, strict=True):
                if one.routed:
                    assert other.compute[0] > one.compute[0]
                    assert other.macs_dense == one.macs_dense
                else:
                    assert other.compute[0] == one.compute[0]


def test_imbalance_is_a_reason_for_idle_cycles() -> None:
    uneven = plan(loads=(0.4, 0.2, 0.2, 0.2))
    report = weft.simulate(uneven, samples=50)
    names = {record.id for record in experts_of(uneven)}
    for row in report.stages:
        assert sum(row.idle_cycles.values()) + row.busy_cycles == report.cycles
        assert (row.idle_cycles[ROUTING] > 0) == (row.id in names)
    assert all(ROUTING not in row.idle_cycles for row in weft.simulate(plan(), samples=5).stages)
    pricing = Pricing(uneven.stages, load_target("wse2"), uneven.training)
    record = experts_of(uneven)[0]
    fall = fall_of(record, uneven.stages.stages[record.index], pricing)
    assert fall.own.terms["routing"] > 0
    assert sum(fall.own.terms.values()) == record.cycles.total_cycles


def test_with_even_loads_it_is_as_fast_as_the_dense_layers_of_the_active_experts() -> None:
    """Products take as long; on layers as small as these a dense one has its positions on more
    slices than experts have, whose tokens come as they are routed."""
    dense, even = plan(0), plan()
    fast = weft.simulate(dense, samples=50).initiation_interval_cycles
    slow = weft.simulate(even, samples=50).initiation_interval_cycles
    assert slow == pytest.approx(fast, rel=0.1)


def test_so_it_is_on_wide_layers() -> None:
    """Width 256, 1,024 units and 512 tokens, a wafer half full; with fewer tokens sums over fewer
    PEs make experts faster than the dense layer (docs/experts.md)."""
    width, hidden, x = 256, 1024, torch.zeros(1, 512, 256)
    dense = Model(2 * hidden, width)
    even = upcycle(Model(hidden, width), ("mlp",), experts=4, top_k=2, balance=0.0).model
    intervals, macs = [], []
    for model in (dense, even):
        options = weft.Options(witness=False)
        made = weft.compile(model, (x, x), nn.functional.mse_loss, "wse2", options)
        intervals.append(weft.simulate(made, samples=30).initiation_interval_cycles)
        macs.append(made.document.totals.macs_effective)
    assert intervals[1] == pytest.approx(intervals[0], rel=0.05)
    router = 2 * 512 * width * 4  # with its weight's gradient
    assert macs[1] - macs[0] == pytest.approx(router, rel=0.1)


def test_a_wrong_record_is_found() -> None:
    made = plan()
    target = load_target("wse2")
    for field, value in {
        "rows": 100,
        "top_k": 1,
        "capacity": 65,
        "experts": 5,
        "histogram": (32.0, 32.0, 32.0, 31.0),
    }.items():
        document = _with(made, field, value)
        rules = {violation.rule for violation in check(document, target, made.programs)}
        assert "routed-loads" in rules, field


def test_an_expert_of_a_phase_that_there_is_not_is_found() -> None:
    made = plan()
    stage = experts_of(made)[0]
    first, _ = routed(stage)[0]
    operators = tuple(
        replace(operator, phase="between") if operator == first else operator
        for operator in stage.operators
    )
    stages = tuple(
        replace(one, operators=operators) if one.id == stage.id else one
        for one in made.document.stages
    )
    document = replace(made.document, stages=stages)
    found = check(document, load_target("wse2"), made.programs)
    assert "operators-sound" in {violation.rule for violation in found}


def _with(made: Plan, field: str, value: Any) -> Any:
    stage = experts_of(made)[0]
    first, _ = routed(stage)[0]
    steps = tuple(
        replace(step, **{field: value}) if isinstance(step, Routed) else step
        for step in first.steps
    )
    operators = tuple(replace(o, steps=steps) if o is first else o for o in stage.operators)
    stages = tuple(
        replace(record, operators=operators) if record is stage else record
        for record in made.document.stages
    )
    return replace(made.document, stages=stages)


def test_loads_of_another_number_of_experts_are_refused() -> None:
    with pytest.raises(UserError, match=r"4 rows or shares[\s\S]*0.5, 0.5"):
        plan(loads=(0.5, 0.5))


def test_loads_are_recorded_on_samples() -> None:
    torch.manual_seed(0)
    model = upcycle(Model(), ("mlp",), experts=4, top_k=2).model
    mixture = model.get_submodule("mlp")
    assert isinstance(mixture, Experts)
    nn.init.normal_(mixture.router.weight)
    (shares,) = expert_loads(model, [(SAMPLE,), (-SAMPLE,)]).values()
    chosen = [mixture.router(x.flatten(0, 1))[1] for x in (SAMPLE, -SAMPLE)]
    counts = torch.bincount(torch.cat(chosen).flatten(), minlength=4)
    assert shares == pytest.approx((counts / counts.sum()).tolist())


def test_a_plan_with_experts_is_read_as_it_was_written(tmp_path: Any) -> None:
    made = plan(loads=(0.4, 0.2, 0.2, 0.2))
    made.save(tmp_path / "plan")
    assert weft.load(tmp_path / "plan").document.stages == made.document.stages
    assert any(isinstance(s, ProductStep) for o, _ in routed(experts_of(made)[0]) for s in o.steps)
