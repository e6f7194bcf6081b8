"""A module that keeps its input only and evaluates itself again in the backward pass."""

from __future__ import annotations

import pytest
import torch
from helpers.reversible_chains import chain
from weft.backend.errors import UserError
from weft.backend.nn.reversible import ReversibleSequence


def test_an_output_changed_in_place_is_noticed() -> None:
    model = ReversibleSequence(*chain(2))
    first, second = model(*(torch.randn(1, 4, 8, 8, requires_grad=True) for _ in range(2)))
    with torch.no_grad():
        first.add_(1)
    with pytest.raises(UserError, match="in place"):
        (first.sum() + second.sum()).backward()


def test_a_second_backward_is_refused() -> None:
    model = ReversibleSequence(*chain(2))
    loss = model(*(torch.randn(1, 4, 8, 8, requires_grad=True) for _ in range(2)))[0].sum()
    loss.backward(retain_graph=True)
    with pytest.raises(UserError, match="a second one"):
        loss.backward()
