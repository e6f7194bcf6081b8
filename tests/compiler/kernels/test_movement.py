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


class _Joined(nn.Module):
    """Two halves of features beside each other, and what reads them."""

    def __init__(self, *, in_between: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(64, 64))
        self.in_between = in_between

    def forward(self, x: Tensor) -> Tensor:
        made = x @ self.weight
        both = torch.cat((made, made.relu()), -1)
        return both.exp() if self.in_between else both


def test_what_is_put_together_to_leave_crosses_no_region():
    """A stream has the parts in the order of the whole; an operator after it has them elsewhere."""
    machine = on_grid(load_target("wse3"), 32, 32)
    network = {}
    for in_between in (False, True):
        stages = stages_of(
            lambda one=in_between: _Joined(in_between=one), [(1, 4, 64)], torch.float32
        )
        found = Measured(stages, machine, Tiling(8, 1, 8), all_cycles, "test").operators()
        (joined,) = (operator for operator in found if operator.operator == "aten.cat.default")
        network[in_between] = joined.network_cycles
        assert joined.compute_cycles > 0
    assert network[False] == 0 < network[True]


class _Merged(nn.Module):
    """A product with two inputs beside each other, one of which may be read once more."""

    def __init__(self, *, again: bool) -> None:
        super().__init__()
        self.weight, self.again = nn.Parameter(torch.empty(64, 64)), again

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        made = torch.cat((x, y), -1) @ self.weight
        return made + torch.cat((x, y), -1) if self.again else made


def test_what_comes_to_be_put_together_crosses_no_region():
    """Unless it lies elsewhere already, for somebody else."""
    machine = on_grid(load_target("wse3"), 32, 32)
    network = {}
    for again in (False, True):
        sizes = [(1, 4, 32), (1, 4, 32)]
        stages = stages_of(lambda one=again: _Merged(again=one), sizes, torch.float32)
        found = Measured(stages, machine, Tiling(8, 1, 8), all_cycles, "test").operators()
        joined = [operator for operator in found if operator.operator == "aten.cat.default"]
        network[again] = max(operator.network_cycles for operator in joined)
    assert network[False] == 0 < network[True]
