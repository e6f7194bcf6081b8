"""Masks of parameters that modules compute their weights from."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import weft
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from weft.backend.errors import UnsupportedError
from weft.sparsity import Sparsifier


class Symmetric(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.triu() + x.triu(1).mT


class Halved(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 2


class Adapted(nn.Linear):
    """A low-rank adapter: its factors have other shapes than the weight."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.down, self.up = nn.Parameter(torch.randn(2, inputs)), nn.Linear(2, outputs)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + self.up(F.linear(input, self.down))


class Doubled(nn.Linear):
    """Takes what no layer takes: what it multiplies is not known."""

    def forward(self, input: Tensor, factor: Tensor) -> Tensor:  # pyright: ignore
        return super().forward(input) * factor


def _old_weight_norm(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(module)


def _with(parametrization: nn.Module) -> nn.Module:
    linear = nn.Linear(6, 6)
    parametrize.register_parametrization(linear, "weight", parametrization)
    return linear


KEPT: dict[str, Callable[[], nn.Module]] = {
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(6, 6)),
    "weight norm of a convolution": lambda: parametrizations.weight_norm(nn.Conv2d(6, 6, 3)),
    "old weight norm": lambda: _old_weight_norm(nn.Linear(6, 6)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(6, 6)),
    "old spectral norm": lambda: nn.utils.spectral_norm(nn.Linear(6, 6)),
    "halved": lambda: _with(Halved()),
    "adapted": lambda: Adapted(6, 6),
    "unknown": lambda: Doubled(6, 6),
    "transposed": lambda: nn.ConvTranspose2d(6, 4, 3, groups=2),
}
LOST: dict[str, Callable[[], nn.Module]] = {
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(6, 6)),
    "symmetric": lambda: _with(Symmetric()),
    "standardized": lambda: weft.nn.standardize_weights(nn.Sequential(nn.Conv2d(6, 6, 3))),
    "standardized linear": lambda: weft.nn.standardize_weights(
        nn.Sequential(nn.Linear(6, 6)), linear=True
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_zeros_that_are_kept_are_taken_and_the_module_stays_as_it_is(name: str) -> None:
    torch.manual_seed(0)
    model = KEPT[name]()
    model.train(name != "spectral norm")  # reading its weight advances it
    before = copy.deepcopy(model.state_dict())
    weight = getattr(model, "weight", torch.zeros(())).detach().clone()
    mode = [module.training for module in model.modules()]
    assert weft.sparsity.configure(0.5).rules(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(getattr(model, "weight", torch.zeros(())), weight)
    assert [module.training for module in model.modules()] == mode


@pytest.mark.parametrize("name", LOST)
def test_zeros_that_are_lost_are_refused(name: str) -> None:
    model = LOST[name]()
    with pytest.raises(UnsupportedError, match="zeros of the product"):
        Sparsifier(model, torch.optim.SGD(model.parameters(), lr=0.1), 0.5)
    with pytest.raises(UnsupportedError, match="leave it out by param_filter"):
        weft.sparsity.configure(0.5).masks(model)


@pytest.mark.parametrize("name", ["weight norm", "weight norm of a convolution", "old weight norm"])
def test_a_part_without_weights_has_no_norm_to_divide_by(name: str) -> None:
    model = nn.Sequential(KEPT[name]())
    (direction,) = (key for key, value in model.named_parameters() if value[0].numel() > 1)
    mask = torch.ones(dict(model.named_parameters())[direction].shape, dtype=torch.bool)
    mask[2] = False
    with pytest.raises(UnsupportedError, match=r"divides by the norm[\s\S]*not finite"):
        weft.sparsity.apply(model, {direction: mask})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsifier = Sparsifier(model, optimizer, 0.1)
    state = sparsifier.state_dict()
    with pytest.raises(UnsupportedError, match="divides by the norm"):
        sparsifier.load_state_dict({**state, "masks": {direction: mask}})
    sparsifier.remove()
    with pytest.raises(UnsupportedError, match="checkerboard"):
        Sparsifier(model, optimizer, 0.99)


def test_a_weight_normalized_layer_trains_with_the_zeros_in_its_product() -> None:
    torch.manual_seed(0)
    model: Any = nn.Sequential(parametrizations.weight_norm(nn.Linear(16, 8)), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    sparsifier = Sparsifier(model, optimizer, 0.75)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(3, 16)).square().sum().backward()
        optimizer.step()
        mask = sparsifier.masks["0.parametrizations.weight.original1"]
        assert (model[0].weight[~mask] == 0).all()
        assert model[0].weight.count_nonzero() == 32 == mask.sum()
