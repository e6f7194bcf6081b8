"""Plans of models that are sparse already, and masks of tied parameters."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
import weft
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.compiler.plan.check import check
from weft.sparsity import Sparsifier


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 3)
        self.never = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


def _compiled(model: nn.Module, options: weft.Options | None = None) -> weft.Plan:
    sample = torch.ones(1, 8), torch.tensor([0])
    return weft.compile(model, sample, F.cross_entropy, "tiny_mesh", options)


def _sparse(model: nn.Module, **keys: object) -> Sparsifier:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Sparsifier(model, optimizer, {"sparsity": 0.5, **keys})


def test_a_plan_carries_the_masks_in_force_on_the_model_and_its_copies() -> None:
    model = Unused()
    sparsifier = _sparse(model)
    for given in (model, copy.deepcopy(model)):
        plan = _compiled(given)
        assert list(plan.masks) == ["first.weight", "second.weight"]
        assert all(torch.equal(plan.masks[n], sparsifier.masks[n]) for n in plan.masks)
        assert sum(s.nonzeros.total for s in plan.document.stages) == 32 + 12 + 11
        assert plan.document.dynamic == ()
        assert check(plan.document, programs=plan.programs) == ()
    sparsifier.remove()
    assert _compiled(model).masks == {}


def test_masks_that_will_change_are_said_to() -> None:
    model = Unused()
    _sparse(model, algorithm="set", param_filter="first.weight")
    assert _compiled(model).document.dynamic == ("first.weight",)


def test_masks_that_are_given_take_the_place_of_those_in_force() -> None:
    model = Unused()
    _sparse(model)
    mask = torch.eye(8, dtype=torch.bool)
    plan = _compiled(model, weft.Options(masks={"first.weight": mask}))
    assert list(plan.masks) == ["first.weight"]
    assert torch.equal(plan.masks["first.weight"], mask)


def test_weights_that_contradict_the_masks_are_refused() -> None:
    model = Unused()
    _sparse(model)
    model.load_state_dict(Unused().state_dict())
    with pytest.raises(UserError, match="no masks loaded since"):
        _compiled(model)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token, self.head = nn.Embedding(8, 8), nn.Linear(8, 8, bias=False)
        self.head.weight = self.token.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.token(x)))


def test_a_tied_parameter_is_masked_under_any_of_its_names() -> None:
    mask = torch.eye(8, dtype=torch.bool)
    sample = torch.tensor([1]), torch.tensor([0])
    options = weft.Options(masks={"head.weight": mask}, dynamic={"head.weight"})
    plan = weft.compile(Tied(), sample, F.cross_entropy, "tiny_mesh", options)
    assert torch.equal(plan.masks["token.weight"], mask)
    assert plan.document.dynamic == ("token.weight",)
