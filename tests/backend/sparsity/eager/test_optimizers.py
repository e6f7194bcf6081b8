"""Optimizers that wrap others, and weights that another optimizer moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from weft.backend.errors import UserError
from weft.sparsity import Sparsifier

RIGL = {"algorithm": "rigl", "sparsity": 0.6, "update": {"freq": 2}}


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 3))


def _adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.01)


class Accelerated(torch.optim.Optimizer):
    """As accelerate's: an Optimizer by type, never initialised, that hands all to another."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    state = property(lambda self: self.optimizer.state)
    param_groups = property(lambda self: self.optimizer.param_groups)

    def step(self, closure: Any = None) -> None:
        self.optimizer.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none)


class Lookahead(torch.optim.Optimizer):
    """Moves weights itself after the inner step: halfway back to where they were."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        super().__init__(optimizer.param_groups, {})
        self.slow = [p.detach().clone() for g in self.param_groups for p in g["params"]]

    def step(self, closure: Any = None) -> None:
        self.optimizer.step(closure)
        parameters = [p for group in self.param_groups for p in group["params"]]
        with torch.no_grad():
            for slow, parameter in zip(self.slow, parameters, strict=True):
                slow += 0.5 * (parameter - slow)
                parameter.copy_(slow)


class Sharpness(torch.optim.Optimizer):
    """As SAM: its second step is a method of its own, which calls the inner step."""

    def __init__(self, base: torch.optim.Optimizer) -> None:
        self.base_optimizer = base
        super().__init__(base.param_groups, {})

    def step(self, closure: Any = None) -> None:
        raise NotImplementedError

    def second_step(self) -> None:
        self.base_optimizer.step()


def _scheduler(optimizer: torch.optim.Optimizer) -> Any:
    return torch.optim.lr_scheduler.StepLR(optimizer, 1)


WRAPPERS: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "none": lambda optimizer: optimizer,
    "accelerated": Accelerated,
    "accelerated twice": lambda optimizer: Accelerated(Accelerated(optimizer)),
    "sharpness": Sharpness,
    "scheduler": _scheduler,
}


def _trained(wrap: Callable[[torch.optim.Optimizer], Any]) -> tuple[nn.Module, Sparsifier]:
    model = _model()
    inner = _adam(model)
    given = wrap(inner)
    sparsifier = Sparsifier(model, given, RIGL)
    step = getattr(given, "second_step", inner.step if given is inner else None)
    step = step or (inner.step if hasattr(given, "last_epoch") else given.step)
    for index in range(6):
        inner.zero_grad()
        x = torch.randn(4, 6, generator=torch.Generator().manual_seed(index))
        model(x).square().sum().backward()
        step()
    return model, sparsifier


@pytest.mark.parametrize("name", WRAPPERS)
def test_the_optimizer_inside_is_found_and_the_numbers_are_its_own(name: str) -> None:
    expected, _ = _trained(WRAPPERS["none"])
    model, sparsifier = _trained(WRAPPERS[name])
    assert sparsifier.step == 6
    for own, other in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(own, other)


def test_what_moves_weights_after_the_inner_step_is_masked_too() -> None:
    model = _model()
    optimizer = Lookahead(_adam(model))
    sparsifier = Sparsifier(model, optimizer, RIGL)
    for index in range(6):
        optimizer.zero_grad()
        x = torch.randn(4, 6, generator=torch.Generator().manual_seed(index))
        model(x).square().sum().backward()
        optimizer.step()
        for name, mask in sparsifier.masks.items():
            assert (model.get_parameter(name)[~mask] == 0).all()
    assert sparsifier.step == 6


class Bare:
    """Steps the weights, but nothing can watch it."""

    def step(self) -> None: ...


@pytest.mark.parametrize("optimizer", [Bare(), None, "adam"])
def test_what_is_no_optimizer_is_refused(optimizer: Any) -> None:
    with pytest.raises(UserError, match=r"torch\.optim\.Optimizer"):
        Sparsifier(_model(), optimizer, 0.5)


def test_weights_of_another_optimizer_are_refused_by_name() -> None:
    model = _model()
    first = torch.optim.SGD(model[0].parameters(), lr=0.1)
    second = torch.optim.SGD(model[2].parameters(), lr=0.1)
    with pytest.raises(UserError, match=r"none of 2\.weight in its param_groups"):
        Sparsifier(model, first, 0.5)
    Sparsifier(model, first, {"sparsity": 0.5, "param_filter": "0.weight"})
    Sparsifier(model, second, {"sparsity": 0.5, "param_filter": "2.weight"})


def test_a_frozen_weight_named_in_a_filter_needs_no_optimizer() -> None:
    model = _model()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    sparsifier = Sparsifier(model, optimizer, {"sparsity": 0.5, "param_filter": "*.weight"})
    assert int(sparsifier.masks["0.weight"].sum()) == model[0].weight.count_nonzero() == 30


class Slow:
    """Lookahead that is no torch optimizer: nobody is told of its step."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.slow = [p.detach().clone() for p in self.parameters]

    def step(self) -> None:
        self.optimizer.step()
        for parameter, slow in zip(self.parameters, self.slow, strict=True):
            parameter.data.copy_((parameter.data + slow) / 2)


def test_weights_that_a_wrapper_moved_after_the_step_are_saved_as_zeros() -> None:
    model = _model()
    optimizer: Any = Slow(_adam(model))
    sparsifier = Sparsifier(model, optimizer, 0.6)
    model(torch.randn(4, 6)).square().sum().backward()
    optimizer.step()
    saved = model.state_dict()
    for name, mask in sparsifier.masks.items():
        assert not saved[name][~mask].any()
        assert saved[name][mask].all()
