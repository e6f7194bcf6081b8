"""`weft.plan_of` of one of several models that dynamo runs with one graph."""

from __future__ import annotations

import pytest
import torch
import weft
from torch import Tensor, nn
from weft.backend.errors import UserError


def _model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def _trained(model: nn.Module) -> nn.Module:
    compiled = torch.compile(model, backend="weft", options={"target": "tiny_mesh"})
    compiled(torch.ones(1, 4)).sum().backward()
    return compiled


def _assert_own(compiled: nn.Module, model: nn.Module) -> None:
    tensors = weft.plan_of(compiled).tensors
    assert all(torch.equal(tensors[name], value) for name, value in model.named_parameters())


def test_each_model_of_one_architecture_has_a_plan_of_its_own() -> None:
    models = [_model(), _model(), _model()]
    compiled = [_trained(model) for model in models]
    for model, module in zip(models, compiled, strict=True):
        _assert_own(module, model)
        assert len(weft.plans_of(module)) == 1


def test_reloaded_weights_are_the_plans_once_they_ran() -> None:
    model = _model()
    compiled = _trained(model)
    model.load_state_dict(_model().state_dict())
    _assert_own(compiled, model)
    model.load_state_dict(_model().state_dict(), assign=True)
    with pytest.raises(UserError, match="replaced since"):
        weft.plan_of(compiled)
    compiled(torch.ones(1, 4)).sum().backward()
    _assert_own(compiled, model)


class WithTrunk(nn.Module):
    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk, self.head = trunk, nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.trunk(x)))


def test_models_that_share_layers_are_told_apart() -> None:
    trunk = nn.Linear(4, 5)
    models = [WithTrunk(trunk), WithTrunk(trunk)]
    compiled = [_trained(model) for model in models]
    for model, module in zip(models, compiled, strict=True):
        _assert_own(module, model)


def test_a_function_of_two_models_is_found_by_either() -> None:
    first, second = nn.Linear(4, 5), nn.Linear(5, 3)

    @torch.compile(backend="weft", options={"target": "tiny_mesh"})
    def both(x: Tensor) -> Tensor:
        return second(torch.relu(first(x)))

    both(torch.ones(1, 4)).sum().backward()
    weights = weft.plan_of(first).tensors.values()
    assert any(torch.equal(value, second.weight) for value in weights if value.ndim == 2)
    assert len(weft.plans_of(second)) == 1


def test_a_plan_has_the_masks_in_force() -> None:
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsifier = weft.sparsity.Sparsifier(model, optimizer, {"algorithm": "set", "sparsity": 0.5})
    plan = weft.plan_of(_trained(model))
    assert all(torch.equal(plan.masks[name], mask) for name, mask in sparsifier.masks.items())
    assert set(plan.document.dynamic) == set(plan.masks)
    stages = plan.document.stages
    assert sum(stage.nonzeros.total for stage in stages) == 12 + 9 + 6 + 3
