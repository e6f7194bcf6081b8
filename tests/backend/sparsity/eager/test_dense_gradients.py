"""Gradients that are zeroed where torch tells nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from weft.sparsity import Sparsifier

RIGL = {"algorithm": "rigl", "sparsity": 0.7}
Zero = Callable[[nn.Module, torch.optim.Optimizer], None]


def _zero_by_hand(model: nn.Module, _: torch.optim.Optimizer) -> None:
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.zero_()


ZEROED: dict[str, Zero] = {
    "optimizer to zeros": lambda _, optimizer: optimizer.zero_grad(set_to_none=False),
    "model to none": lambda model, _: model.zero_grad(),
    "model to zeros": lambda model, _: model.zero_grad(set_to_none=False),
    "by hand": _zero_by_hand,
}


def _masks(zero: Zero, micro_batches: int = 2, updates: int = 12) -> list[Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    sparsifier = Sparsifier(model, optimizer, RIGL)
    seen = []
    for update in range(updates):
        zero(model, optimizer)
        for part in range(micro_batches):
            x = torch.randn(4, 6, generator=torch.Generator().manual_seed(10 * update + part))
            model(x).square().sum().backward()
        optimizer.step()
        seen += [mask.clone() for mask in sparsifier.masks.values()]
    return seen


@pytest.mark.parametrize("way", ZEROED)
def test_every_way_of_zeroing_gradients_gives_the_same_masks(way: str) -> None:
    expected = _masks(lambda _, optimizer: optimizer.zero_grad())
    pairs = zip(_masks(ZEROED[way]), expected, strict=True)
    assert all(torch.equal(mask, other) for mask, other in pairs)


def test_gradients_that_are_not_zeroed_add_up() -> None:
    expected = _masks(lambda _, optimizer: optimizer.zero_grad())
    pairs = zip(_masks(lambda *_: None), expected, strict=True)
    assert not all(torch.equal(mask, other) for mask, other in pairs)


def test_micro_batches_add_up_where_every_kept_gradient_is_zero() -> None:
    """The one kept weight sees an input that is 0; which weight grows depends on both batches."""
    model = nn.Linear(4, 2, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    config = {"algorithm": "rigl", "sparsity": 0.75, "drop_fraction": 1.0, "init_method": "topk"}
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[9.0, 0, 0, 0], [9.0, 0, 0, 0]]))
    sparsifier = Sparsifier(model, optimizer, config)
    for x in ([0.0, 5.0, 1.0, 0.0], [0.0, -5.0, 1.0, 0.0]):
        model(torch.tensor([x])).sum().backward()
    optimizer.step()
    assert sparsifier.masks["weight"].nonzero().tolist() == [[0, 2], [1, 2]]
