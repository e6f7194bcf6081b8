"""Speed-ups, break-even and limits of sparse layers, against plans compiled otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.pipeline import Options, compile_model
from weft.compiler.plan.plan import Plan
from weft.compiler.plan.training import Training
from weft.compiler.remap.sparse_costs import sparse_layers
from weft.compiler.targets.load import load_target


def plan_of(kept: float, width: int = 256, **options) -> Plan:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
    generator = torch.Generator().manual_seed(0)
    masks = {"0.weight": torch.rand(width, width, generator=generator) < kept}
    sample = torch.zeros(1, width), torch.zeros(1, dtype=torch.int64)
    return compile_model(model, sample, F.cross_entropy, "wse2", Options(masks=masks, **options))


@pytest.mark.parametrize(("kept", "states"), [(0.25, 1), (0.1, 2)])
def test_the_speed_up_is_that_of_the_priced_stage(kept: float, states: int) -> None:
    plan = plan_of(kept, optimizer_states=states)
    (layer,) = sparse_layers(plan)
    record = plan.document.stages[0]
    assert layer.stage == record.id
    assert layer.actual == pytest.approx(1 - plan.masks["0.weight"].float().mean().item())
    assert layer.ideal == pytest.approx(1 / (1 - layer.actual))
    assert layer.requested is None
    dense = Training(optimizer_states=plan.document.optimizer_states)
    table = Pricing(plan.stages, load_target("wse2"), dense).table(plan.stages.stages[0])
    tilings = table.tilings
    (index,) = np.flatnonzero([tilings.tiling(i) == record.tiling for i in range(len(tilings))])
    expected = table.total_cycles()[index] / record.cycles.total_cycles
    assert layer.predicted == pytest.approx(expected)


def test_more_zeros_never_gain_less_and_break_even_lies_where_it_says() -> None:
    found = [sparse_layers(plan_of(kept, dynamic=("0.weight",)))[0] for kept in (0.5, 0.25, 0.05)]
    gains = [layer.predicted for layer in found]
    assert gains == sorted(gains)
    for layer in found:
        assert layer.break_even is not None
        assert (layer.actual > layer.break_even) == (layer.predicted > 1)


def test_limits_are_cycles_of_the_stage() -> None:
    plan = plan_of(0.1)
    (layer,) = sparse_layers(plan)
    total = plan.document.stages[0].cycles.total_cycles
    assert set(layer.limits) == {"issue", "index", "imbalance", "communication", "other work"}
    assert all(0 <= cycles <= total for cycles in layer.limits.values())
    network = sum(operator.network_cycles for operator in plan.document.stages[0].operators)
    assert layer.limits["communication"] == network
    assert layer.limits[layer.limited_by] == max(layer.limits.values())


def test_a_plan_without_masks_has_no_sparse_layer() -> None:
    model = nn.Sequential(nn.Linear(8, 8))
    sample = torch.zeros(1, 8), torch.zeros(1, dtype=torch.int64)
    assert sparse_layers(compile_model(model, sample, F.cross_entropy, "wse2")) == ()


class Tied(nn.Module):
    """An embedding whose table is the output layer's weight, too, two stages later."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(48, 16)
        self.between = nn.Linear(16, 16)
        self.scores = nn.Linear(16, 48, bias=False)
        self.scores.weight = self.table.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.scores(torch.relu(self.between(self.table(tokens)))).transpose(1, 2)


def test_a_tied_weight_is_streamed_and_multiplied_dense_whatever_its_mask() -> None:
    tokens = torch.zeros(1, 8, dtype=torch.int64)
    masks = {"table.weight": torch.rand(48, 16) < 0.1}
    sparse, dense = (
        compile_model(Tied(), (tokens, tokens), F.cross_entropy, "wse2", options).document
        for options in (Options(masks=masks), Options())
    )
    assert 48 * 16 * 4 in {edge.forward_bytes for edge in sparse.edges}
    assert [e.forward_bytes for e in sparse.edges] == [e.forward_bytes for e in dense.edges]
    assert [e.gradient_bytes for e in sparse.edges] == [e.gradient_bytes for e in dense.edges]
    assert sparse.stages[0].nonzeros.total < dense.stages[0].nonzeros.total
    for mine, theirs in zip(sparse.stages[1:], dense.stages[1:], strict=True):
        assert mine.macs_effective == theirs.macs_effective
