"""Data movement: what costs nothing, and what does."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from weft.compiler.kernels.registry import KERNELS
from weft.compiler.plan.stage_record import Tiling
from weft.compiler.targets import load_target
from weft.study.published.measured import Measured, all_cycles, on_grid, stages_of


def test_views_are_free_and_writes_are_not():
    assert KERNELS["aten.view.default"].cost is KERNELS["aten.permute.default"].cost
    assert KERNELS["aten.view.dtype"].cost is KERNELS["aten.view.default"].cost
    for name in ("aten.clone.default", "aten.cat.default", "aten.full.default"):
        assert KERNELS[name].cost is not KERNELS["aten.view.default"].cost


class _Converted(nn.Module):
    """A product of eight matrices, then a pass over its results and a conversion of them."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(8, 16, 512))

    def forward(self, x: Tensor) -> Tensor:
        return torch.round(torch.bmm(x.view(8, 4, 16), self.weight)).half().float()


def test_a_conversion_is_a_pass_over_what_its_operand_has_on_a_pe():
    """What a batch of products left lies on the lines of each of them, not on one line."""
    stages = stages_of(_Converted, [(1, 512)], torch.float32)
    machine = on_grid(load_target("wse3"), 32, 32)
    tiling = Tiling(32, 1, 32, algorithm="all-reduce")
    found = Measured(stages, machine, tiling, all_cycles, "test").operators()
    cycles = {operator.operator: operator.compute_cycles for operator in found}
    assert cycles["aten._to_copy.default"] == cycles["aten.round.default"]
