"""One evaluation of a module again, as it was: same draws, same statistics, same autocast."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from helpers.reversible_cases import CASES, image
from helpers.reversible_training import train
from torch import Tensor
from weft.backend.nn.online_norm import OnlineNorm
from weft.backend.nn.reversible import (
    AdditiveCoupling,
    Recomputed,
    ResidualCoupling,
    ReversibleSequence,
)
from weft.sparsity import Sparsifier, masks_of


@pytest.mark.parametrize("name", CASES)
def test_gradients_draws_and_all_statistics_equal_those_of_kept_activations(name: str) -> None:
    torch.manual_seed(0)
    make, shapes = CASES[name]
    reversible = ReversibleSequence(*make()).double()
    for module in reversible.modules():
        if isinstance(module, OnlineNorm):  # its state stays float32 or wider: make it double here
            for state in module.state_names:
                setattr(module, state, getattr(module, state).double())
    kept = deepcopy(reversible)
    kept.keeps = True
    inputs = [image(*shape) for shape in shapes]
    got, expected = train(reversible, inputs), train(kept, inputs)
    assert len(got) == len(expected)
    for mine, its in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("recomputed", [False, True])
def test_hooks_of_parameters_see_each_gradient_once(recomputed: bool) -> None:
    """Doubled by a hook, a gradient is twice what it is without, not four times."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 3)
    model = Recomputed(layer) if recomputed else ReversibleSequence(ResidualCoupling(layer))
    x = torch.randn(2, 3, requires_grad=True)
    given = (x,) if recomputed else (x, x)

    def gradients() -> list[Tensor]:
        outputs = model(*given)
        loss = sum(o.square().sum() for o in ([outputs] if recomputed else outputs))
        layer.zero_grad()
        loss.backward()
        return [p.grad.clone() for p in layer.parameters() if p.grad is not None]

    plain = gradients()
    hooks = [p.register_hook(lambda gradient: 2 * gradient) for p in layer.parameters()]
    torch.testing.assert_close(gradients(), [2 * gradient for gradient in plain])
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(gradients(), plain)


def test_rigl_grows_in_reversible_layers_as_with_kept_activations() -> None:
    masks = []
    for keeps in (False, True):
        torch.manual_seed(0)
        f, g = (torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh()) for _ in range(2))
        model = ReversibleSequence(AdditiveCoupling(f, g), keeps=keeps)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        asked = {"algorithm": "rigl", "sparsity": 0.5, "update": {"steps": [0, 3]}, "seed": 0}
        Sparsifier(model, optimizer, asked)
        for _ in range(4):
            optimizer.zero_grad()
            sum(o.square().sum() for o in model(torch.randn(2, 4), torch.randn(2, 4))).backward()
            optimizer.step()
        masks.append(masks_of(model))
    assert all(torch.equal(mask, masks[1][name]) for name, mask in masks[0].items())


class _Zero(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def test_a_function_whose_output_needs_no_gradient_passes_none() -> None:
    torch.manual_seed(0)
    layer, found = torch.nn.Linear(3, 3), []
    for keeps in (False, True):
        x1, x2 = (torch.ones(2, 3, requires_grad=True) for _ in range(2))
        model = ReversibleSequence(AdditiveCoupling(_Zero(), layer), keeps=keeps)
        sum(o.square().sum() for o in model(x1, x2)).backward()
        found.append((x1.grad, x2.grad))
    torch.testing.assert_close(*found)
