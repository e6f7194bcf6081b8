"""One evaluation of a module again, as it was: same draws, same statistics, same autocast."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from helpers.reversible_cases import CASES, image
from torch import Tensor, nn
from weft.backend.nn.online_norm import OnlineNorm
from weft.backend.nn.reversible import (
    ReversibleSequence,
)


def train(model: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """Losses and input gradients of some samples, one after the other."""
    torch.manual_seed(3)
    optimizer, found = torch.optim.SGD(model.parameters(), lr=0.05), []
    for sample in zip(*inputs, strict=True):
        given = [stream.clone().requires_grad_() for stream in sample]
        outputs = model(*given)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = sum(((n + 1) * (y - 0.3) ** 2).mean() for n, y in enumerate(outputs))
        optimizer.zero_grad()
        loss.backward()
        found += [loss.detach(), *(stream.grad for stream in given)]
        found += [p.grad.clone() for p in model.parameters()]
        optimizer.step()
    return found + [buffer.clone() for buffer in model.buffers()]


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
