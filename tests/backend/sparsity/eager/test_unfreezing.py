"""Frozen weights: dense while they are frozen, sparse once they train."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.sparsity import Sparsifier

RIGL = {"algorithm": "rigl", "sparsity": 0.5, "update": {"freq": 2}}


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3))


def _batch(index: int) -> Tensor:
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(index))


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, index: int) -> None:
    optimizer.zero_grad()
    model(_batch(index)).square().sum().backward()
    optimizer.step()


class Adapted(nn.Module):
    """A low-rank adapter of a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(6, 6).requires_grad_(False)
        self.down, self.up = nn.Linear(6, 2, bias=False), nn.Linear(2, 6, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


@pytest.mark.parametrize("all_in_optimizer", [True, False])
def test_a_frozen_base_stays_as_it_is(all_in_optimizer: bool) -> None:
    model = Adapted()
    before = model.base.weight.clone()
    held = [p for p in model.parameters() if all_in_optimizer or p.requires_grad]
    config = {"algorithm": "rigl", "sparsity": 0.5, "distribution": "erk"}
    sparsifier = Sparsifier(model, torch.optim.AdamW(held), config)
    assert [level.name for level in sparsifier.levels()] == ["down.weight", "up.weight"]
    assert sum(level.kept for level in sparsifier.levels()) == 12  # erk: exact without the base
    model(_batch(0))
    assert torch.equal(model.base.weight, before)
    assert sparsifier.masks["base.weight"].all()


@pytest.mark.parametrize("moment", ["before the forward", "before the step"])
@pytest.mark.parametrize("compiled", [False, True])
def test_an_unfrozen_layer_is_pruned_and_its_mask_moves(moment: str, compiled: bool) -> None:
    model = _model()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    sparsifier = Sparsifier(model, optimizer, RIGL)
    run: Any = torch.compile(model, backend="eager") if compiled else model
    _step(run, optimizer, 0)
    assert model[0].weight.count_nonzero() == 48
    if moment == "before the forward":
        model[0].requires_grad_(True)
        _step(run, optimizer, 1)
    else:
        optimizer.zero_grad()
        run(_batch(1)).square().sum().backward()
        model[0].requires_grad_(True)
        optimizer.step()
    first = sparsifier.masks["0.weight"].clone()
    for index in range(2, 6):
        _step(run, optimizer, index)
        assert (model[0].weight[~sparsifier.masks["0.weight"]] == 0).all()
    assert int(first.sum()) == 24 == sparsifier.levels()[-1].kept
    assert not torch.equal(sparsifier.masks["0.weight"], first)


def test_rigl_grows_an_unfrozen_layer_by_its_dense_gradient() -> None:
    model = _model()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    sparsifier = Sparsifier(model, optimizer, RIGL)
    _step(model, optimizer, 0)
    model[0].requires_grad_(True)
    model(_batch(9))  # takes it in
    before = sparsifier.masks["0.weight"].numpy().copy()
    weight = model[0].weight.detach().numpy().copy()
    plain = _model()
    plain.load_state_dict(model.state_dict())
    plain(_batch(1)).square().sum().backward()
    _step(model, optimizer, 1)
    gradient = plain[0].weight.grad
    assert isinstance(gradient, Tensor)
    expected = sparsifier.rules["0.weight"].update(before, weight, gradient.numpy(), 2)
    assert torch.equal(sparsifier.masks["0.weight"], torch.from_numpy(expected))


def test_a_checkpoint_from_after_unfreezing_loads_before_it() -> None:
    model = _model()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    sparsifier = Sparsifier(model, optimizer, RIGL)
    assert list(sparsifier.state_dict()["masks"]) == ["1.weight"]
    model[0].requires_grad_(True)
    for index in range(4):
        _step(model, optimizer, index)
    again = _model()
    again[0].requires_grad_(False)
    other = Sparsifier(again, torch.optim.SGD(again.parameters(), lr=0.05), RIGL)
    again.load_state_dict(model.state_dict())
    other.load_state_dict(sparsifier.state_dict())
    assert torch.equal(again(_batch(0)), model(_batch(0)))
    masks = other.masks
    assert all(torch.equal(mask, masks[name]) for name, mask in sparsifier.masks.items())


def test_a_model_that_is_all_frozen_waits() -> None:
    model = _model().requires_grad_(False)
    sparsifier = Sparsifier(model, torch.optim.SGD(model.parameters(), lr=0.05), 0.5)
    assert sparsifier.levels() == ()
    model.requires_grad_(True)
    model(_batch(0))
    assert [level.kept for level in sparsifier.levels()] == [24, 12]


def test_a_layer_unfrozen_for_no_optimizer_or_another_is_refused() -> None:
    model = _model()
    model[0].requires_grad_(False)
    Sparsifier(model, torch.optim.SGD(model[1].parameters(), lr=0.05), 0.5)
    model[0].requires_grad_(True)
    with pytest.raises(UserError, match=r"none of 0\.weight in its param_groups"):
        model(_batch(0))
