from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.eager_loop import assert_trained_alike
from helpers.tied_stages import TARGET, TOKENS, Tied, tied_model, tied_stages
from torch import Tensor, nn
from weft.compiler.capture.capture import capture
from weft.compiler.emit.emit import Labels, emit
from weft.compiler.mapping.map import map_kernels
from weft.compiler.place.place import place
from weft.compiler.plan.check import check
from weft.compiler.plan.training import Training
from weft.compiler.stages.cut import cut
from weft.compiler.targets.load import load_target


@pytest.fixture(scope="module")
def model():
    return tied_model()


@pytest.fixture(scope="module")
def stages(model):
    return tied_stages(model)


def test_every_tensor_has_one_owner_and_the_first_name(stages):
    owned = [name for stage in stages.stages for name in stage.tensors]
    assert sorted(owned) == ["frequencies", "layer.bias", "layer.weight", "table.weight"]


def test_the_plan_is_sound():
    target = load_target("wse2")
    stages = cut(capture(Tied(), (TOKENS, TARGET), F.cross_entropy))
    placement = place(stages, map_kernels(stages, target))
    plan = emit(stages, placement, {}, Training(), Labels("tied"))
    assert check(plan.document, target, plan.programs) == ()


class _Twice(nn.Module):
    """Two layers with one weight, whose gradient hooks limit and then scale."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.second.weight, self.head = self.first.weight, nn.Linear(8, 4)
        self.first.weight.register_hook(lambda gradient: gradient.clamp(-0.01, 0.01))
        self.first.weight.register_hook(lambda gradient: gradient * 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.second(torch.relu(self.first(x)))))


def test_hooks_of_a_tied_weight_get_the_sum_of_its_gradients():
    """As torch gives it to them: limited apart, the parts would come to twice as much."""
    torch.manual_seed(1)
    x, labels = torch.randn(12, 8), torch.randint(0, 4, (12,))
    assert_trained_alike(_Twice, F.cross_entropy, x, labels)
